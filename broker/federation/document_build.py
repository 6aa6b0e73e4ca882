"""Documents → the snapshot: each checked in itself, then against the others, and every problem told.

Reads the parsed bodies only; a document's text is read anew when there is a problem in it, for the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from broker.attributes import dialects, entra
from broker.attributes.mapping import effective_rules
from broker.attributes.schema import ATTRIBUTES, PREVIOUS, Origin, Sensitivity
from broker.federation import client_build
from broker.federation import document_models as models
from broker.federation.document_problems import in_words, located, location_of, nearest
from broker.federation.document_types import (
    OUTSIDE,
    Document,
    DocumentErrors,
    DocumentSet,
    MetadataFacts,
    Problem,
    ReadMetadata,
    ResolveSecret,
    SecretError,
    UnreadableMetadata,
    leads_out,
    metadata_path,
)
from broker.federation.model import (
    AccessException,
    Agreement,
    AgreementId,
    AssuranceRule,
    AttributeRule,
    Contact,
    Federation,
    IdentityProvider,
    IdentityProviderId,
    MetadataFile,
    OidcClient,
    OidcProvider,
    Organisation,
    OrganisationFrom,
    OrganisationId,
    Protocol,
    RegisteredAttribute,
    Requirements,
    Service,
    ServiceId,
    SubjectRule,
)
from broker.federation.yaml_text import Location


def build(
    documents: DocumentSet,
    *,
    revision: int,
    read_metadata: ReadMetadata,
    secret: ResolveSecret,
    loaded_at: datetime | None = None,
) -> Federation:
    """The snapshot of these documents.

    Raises: DocumentErrors, with every problem.
    """
    builder = _Builder(documents, read_metadata, secret)
    federation = Federation(
        revision=revision,
        organisations={OrganisationId(each.id): each for each in builder.organisations()},
        identity_providers={IdentityProviderId(each.id): each for each in builder.identity_providers()},
        services={ServiceId(each.id): each for each in builder.services()},
        agreements={AgreementId(each.id): each for each in builder.agreements()},
        loaded_at=loaded_at,
    )
    if builder.found:
        raise DocumentErrors(builder.problems())
    return federation


Model = TypeVar("Model", bound=models.DocumentModel)


class _Builder:
    """Turns documents into the model kind by kind, and notes what is wrong with them."""

    def __init__(self, documents: DocumentSet, read_metadata: ReadMetadata, secret: ResolveSecret) -> None:
        self.found: list[tuple[Document, Location, str]] = []
        self._files = documents.files
        self._read_metadata = read_metadata
        self._secret = secret
        # What is named though its own document is wrong is not a second problem.
        self._ids = {(document.kind, document.id) for document in documents.documents}
        self._valid = list(self._validated(documents.documents))
        self._without_scopes = {
            model.id for _, model in self._valid if isinstance(model, models.OrganisationModel) and not model.scopes
        }

    def problems(self) -> tuple[Problem, ...]:
        """What was found, with lines: each document that has a problem is read anew, once."""
        by_document: dict[int, tuple[Document, list[tuple[Location, str]]]] = {}
        for document, location, message in self.found:
            by_document.setdefault(id(document), (document, []))[1].append((location, message))
        return tuple(
            sorted(problem for document, problems in by_document.values() for problem in located(document, problems))
        )

    # -- each kind

    def organisations(self) -> Iterator[Organisation]:
        owners: dict[str, str] = {}
        for document, model in self._of(models.OrganisationModel):
            for index, scope in enumerate(model.scopes):
                other = owners.setdefault(scope, model.id)
                if other != model.id or scope in model.scopes[:index]:
                    self._note(document, ("scopes", index), f"is a scope of {other} already")
            for index, name in enumerate(model.withhold):
                self._check_attribute(document, ("withhold", index), name)
            yield _organisation(model)

    def identity_providers(self) -> Iterator[IdentityProvider]:
        seen: dict[tuple[str, str], str] = {}
        for document, model in self._identity_provider_models():
            idp = self._identity_provider(document, model)
            if idp is not None:
                field: Location = ("issuer",) if idp.oidc else ("metadata",)
                self._check_unique(document, field, (idp.protocol, idp.entity_id), idp.id, seen)
                self._check_rules(document, idp)
                yield idp

    def services(self) -> Iterator[Service]:
        seen: dict[tuple[str, str], str] = {}
        for document, model in self._service_models():
            self._check_service(document, model)
            service = self._service(document, model)
            if service is not None:
                field: Location = ("client", "client_id") if service.client else ("metadata",)
                self._check_unique(document, field, (service.protocol, service.entity_id), service.id, seen)
                yield service

    def agreements(self) -> Iterator[Agreement]:
        for document, model in self._of(models.AgreementModel):
            self._check_references(document, "organisation", ("parties",), model.parties)
            self._check_references(document, "organisation", ("owners",), model.owners)
            self._check_references(document, "service", ("services",), model.services)
            if not model.services and not model.owners:
                self._note(document, (), "covers nothing: name services, or owners whose every service it covers")
            for party in model.signed:
                if party not in model.parties:
                    self._note(document, ("signed", party), "has signed, but is not a party")
            if model.valid_until < model.valid_from:
                self._note(document, ("valid_until",), "is before valid_from")
            yield _agreement(model)

    # -- identity providers

    def _identity_provider(self, document: Document, model: models.IdentityProviderModel) -> IdentityProvider | None:
        self._check_references(document, "organisation", ("organisations",), model.organisations)
        for index, organisation in enumerate(model.organisations):
            if organisation in self._without_scopes:
                self._note(document, ("organisations", index), f"{organisation} has no scopes: its staff need one")
        if len(model.organisations) > 1 and model.organisation_from is None:
            self._note(document, ("organisations",), "are several: organisation_from must say which attribute decides")
        if model.organisation_from is not None:
            for value, organisation in (model.organisation_from.table or {}).items():
                if organisation not in model.organisations:
                    message = f"{organisation} is not among the organisations of this identity provider"
                    self._note(document, ("organisation_from", "table", value), message)
        for name, rule in model.attributes.items():
            self._check_rule(document, name, rule)
        metadata = oidc = None
        if isinstance(model, models.SamlIdentityProviderModel):
            metadata = self._metadata(document, model.metadata, "idp")
        else:
            oidc = self._oidc_provider(document, model)
        if (metadata is None and oidc is None) or not model.attributes.keys() <= ATTRIBUTES.keys():
            return None
        return _identity_provider(model, metadata, oidc)

    def _oidc_provider(self, document: Document, model: models.OidcIdentityProviderModel) -> OidcProvider | None:
        if "openid" not in model.scopes:
            self._note(document, ("scopes",), "must hold openid")
        complaint = entra.complaint(model.dialect, model.issuer)
        if complaint is not None:
            self._note(document, ("issuer",), complaint)
        needed = model.client_auth != "private_key_jwt"
        secret = self._resolved(document, ("client_secret",), model.client_secret, needed=needed)
        if needed and secret is None:
            return None
        return OidcProvider(
            issuer=model.issuer,
            client_id=model.client_id,
            client_secret=secret,
            client_auth=model.client_auth,
            scopes=tuple(model.scopes),
        )

    def _check_rule(self, document: Document, name: str, rule: models.AttributeRuleModel) -> None:
        location: Location = ("attributes", name)
        if not self._check_attribute(document, location, name):
            return
        attribute = ATTRIBUTES[name]
        if attribute.origin is Origin.REGISTRY:
            self._note(document, location, "is the organisation's own fact: it comes from the registry")
        elif attribute.origin is Origin.BROKER:
            self._note(document, location, "is made by the broker, not by a rule")
        elif attribute.sensitivity is Sensitivity.S3:
            self._note(document, location, "is restricted: no rule may make it")
        if bool(rule.sources) == bool(rule.constant):
            self._note(document, location, "must have either from or constant")

    def _check_rules(self, document: Document, idp: IdentityProvider) -> None:
        """What decides about a person must be made by some rule, and must be stable."""
        dialect = dialects.load(idp.dialect)
        if dialect.protocol is not idp.protocol:
            self._note(document, ("dialect",), f"{idp.dialect} is a dialect of {dialect.protocol}, not {idp.protocol}")
        rules = effective_rules(idp)
        if idp.organisation_from is not None:
            self._check_made(document, ("organisation_from", "from"), idp.organisation_from.source, rules)
        source = idp.subject.source
        if source is None:
            return
        self._check_made(document, ("subject", "from"), source, rules)
        changing = {dialect.fold(each) for name in _CHANGING & rules.keys() for each in rules[name].sources}
        if source in _CHANGING or dialect.fold(source) in changing | _CHANGING_CLAIMS:
            self._note(document, ("subject", "from"), "may change or pass to another person: it cannot be a stable key")

    def _check_made(
        self, document: Document, location: Location, source: str, rules: Mapping[str, AttributeRule]
    ) -> None:
        if source in ATTRIBUTES and source not in rules:
            self._note(document, location, f"no rule of the dialect or of this document makes {source}")

    # -- services

    def _check_service(self, document: Document, model: models.ServiceModel) -> None:
        if ("organisation", model.owner) not in self._ids:
            self._note(document, ("owner",), self._no_such("organisation", model.owner))
        names: set[str] = set()
        for index, registered in enumerate(model.attributes):
            location: Location = ("attributes", index, "name")
            if not self._check_attribute(document, location, registered.name):
                continue
            if registered.name in names:
                self._note(document, location, "is registered twice")
            if ATTRIBUTES[registered.name].sensitivity is Sensitivity.S3:
                self._note(document, location, "is restricted: it is released to no service")
            if registered.name in PREVIOUS and registered.required:
                self._note(document, location, "is there for some people and some time only: it cannot be required")
            names.add(registered.name)
        for name in model.require.__pydantic_extra__:
            self._check_attribute(document, ("require", name), name)
        for index, exception in enumerate(model.exceptions):
            if exception.valid_from is not None and exception.valid_until < exception.valid_from:
                self._note(document, ("exceptions", index, "valid_until"), "is before valid_from")

    def _service(self, document: Document, model: models.ServiceModel) -> Service | None:
        metadata = client = None
        if isinstance(model, models.SamlServiceModel):
            metadata = self._metadata(document, model.metadata, "sp")
        else:
            client = self._client(document, model.client)
        if metadata is None and client is None:
            return None
        return Service(
            id=ServiceId(model.id),
            protocol=Protocol(model.protocol),
            owner=OrganisationId(model.owner),
            name=model.name,
            attributes=tuple(
                RegisteredAttribute(name=each.name, purpose=each.purpose, required=each.required)
                for each in model.attributes
            ),
            entity_categories=tuple(model.entity_categories),
            require=Requirements(
                mfa=model.require.mfa,
                attributes={name: frozenset(given) for name, given in model.require.__pydantic_extra__.items()},
            ),
            status=model.status,
            testers=frozenset(model.testers),
            exceptions=tuple(AccessException(**each.model_dump()) for each in model.exceptions),
            url=model.url,
            metadata=metadata,
            client=client,
            **_saml_switches(model),
        )

    def _client(self, document: Document, model: models.ClientModel) -> OidcClient | None:
        found = [*client_build.complaints(model)]
        for member, complaint in found:
            self._note(document, ("client", member), complaint)
        needed = client_build.has_secret(model)
        if found:
            return None
        secret = self._own_secret(document, model, "client_secret", needed=needed)
        token = self._own_secret(document, model, "registration_access_token", needed=False)
        return client_build.client(model, secret, token) if secret is not None or not needed else None

    def _own_secret(self, document: Document, model: models.ClientModel, member: str, *, needed: bool) -> str | None:
        """Of our own making, if it is generated: for this member of this client alone."""
        owner = f"{member} {model.client_id}"
        return self._resolved(document, ("client", member), getattr(model, member), needed=needed, owner=owner)

    # -- what several kinds need

    def _validated(self, documents: Iterable[Document]) -> Iterator[tuple[Document, models.DocumentModel]]:
        seen: dict[tuple[str, str], Document] = {}
        for document in documents:
            first = seen.setdefault((document.kind, document.id), document)
            if first is not document:
                message = f"{document.kind} {document.id} is there already, in {first.path}:{first.line}"
                self._note(document, ("id",), message)
            model = self._model_of(document)
            if model is None:
                continue
            try:
                yield document, model.model_validate(document.body)
            except ValidationError as error:
                for detail in error.errors(include_url=False):
                    self._note(document, location_of(detail), in_words(detail, model, document))

    def _model_of(self, document: Document) -> type[models.DocumentModel] | None:
        by_protocol = models.MODELS.get(document.kind)
        if by_protocol is None:
            self._note(document, ("kind",), f"no such kind{nearest(document.kind, models.MODELS)}")
            return None
        if None in by_protocol:
            return by_protocol[None]
        protocol = document.body.get("protocol")
        if not isinstance(protocol, str) or protocol not in by_protocol:
            missing = "is missing" if protocol is None else "is unknown"
            self._note(document, ("protocol",), f"{missing}: must be saml or oidc")
            return None
        return by_protocol[protocol]

    def _of(self, kind: type[Model]) -> Iterator[tuple[Document, Model]]:
        return ((document, model) for document, model in self._valid if isinstance(model, kind))

    def _identity_provider_models(self) -> Iterator[tuple[Document, models.IdentityProviderModel]]:
        yield from self._of(models.SamlIdentityProviderModel)
        yield from self._of(models.OidcIdentityProviderModel)

    def _service_models(self) -> Iterator[tuple[Document, models.ServiceModel]]:
        yield from self._of(models.SamlServiceModel)
        yield from self._of(models.OidcServiceModel)

    def _metadata(self, document: Document, name: str, role: Literal["idp", "sp"]) -> MetadataFile | None:
        path = metadata_path(document, name)
        if leads_out(path):
            self._note(document, ("metadata",), OUTSIDE)
            return None
        content = self._files.get(path)
        if content is None:
            self._note(document, ("metadata",), f"there is no file {path} in the documents' folder")
            return None
        try:
            facts = self._read_metadata(content, role)
        except UnreadableMetadata as error:
            where = f"{path}:{error.line}" if error.line else path
            self._note(document, ("metadata",), f"{where}: {error}")
            return None
        self._check_switches(document, path, facts)
        return MetadataFile(path=path, content=content, entity_id=facts.entity_id, valid_until=facts.valid_until)

    def _check_switches(self, document: Document, path: str, facts: MetadataFacts) -> None:
        """A switch that needs what the metadata does not have would stop every login, or do nothing."""
        for switch, there, needed in (
            ("artifact", facts.resolves_artifacts, "ArtifactResolutionService by SOAP"),
            ("sign_requests", facts.signs, "certificate for signing: no request could be verified"),
            ("cbc", facts.encrypts, "key for encryption: nothing would be encrypted"),
        ):
            if document.body.get(switch) is True and not there:
                self._note(document, (switch,), f"{path} has no {needed}")

    def _resolved(
        self, document: Document, location: Location, reference: str | None, *, needed: bool, owner: str = ""
    ) -> str | None:
        if reference is None:
            if needed:
                self._note(document, location, "is missing: env:NAME or file:PATH")
            return None
        try:
            return self._secret(reference, owner)
        except SecretError as error:
            self._note(document, location, str(error))
            return None

    def _check_attribute(self, document: Document, location: Location, name: str) -> bool:
        if name in ATTRIBUTES:
            return True
        self._note(document, location, f"no attribute of the schema is called {name}{nearest(name, ATTRIBUTES)}")
        return False

    def _check_references(self, document: Document, kind: str, location: Location, ids: list[str]) -> None:
        for index, each in enumerate(ids):
            if (kind, each) not in self._ids:
                self._note(document, (*location, index), self._no_such(kind, each))
            elif each in ids[:index]:
                self._note(document, (*location, index), f"{each} is named twice")

    def _check_unique(
        self, document: Document, location: Location, key: tuple[str, str], id: str, seen: dict[tuple[str, str], str]
    ) -> None:
        other = seen.setdefault(key, id)
        if other != id:
            self._note(document, location, f"{key[1]} is that of {other} already")

    def _no_such(self, kind: str, id: str) -> str:
        return f"there is no {kind} {id}{nearest(id, [each for of, each in self._ids if of == kind])}"

    def _note(self, document: Document, location: Location, message: str) -> None:
        self.found.append((document, location, message))


# attributes.md 1.7: never mail, UPN, display name or preferred_username.
_CHANGING = {
    "eppn",
    "givenName",
    "surname",
    "displayName",
    "commonName",
    "mail",
    "mailLocalAddress",
    "phone",
    "preferredLanguage",
    "title",
    "department",
    "departmentNumber",
    "costCentre",
}
_CHANGING_CLAIMS = {"preferred_username", "upn", "email", "unique_name", "name", "userprincipalname", "mail"}


# --- models → the snapshot's values --------------------------------------------------------------------------------------


def _organisation(model: models.OrganisationModel) -> Organisation:
    return Organisation(
        id=OrganisationId(model.id),
        name=model.name,
        short_name=model.short_name or {},
        municipality_code=model.municipality_code,
        business_id=model.business_id,
        organization_type=model.organization_type,
        scopes=tuple(model.scopes),
        mail_domains=frozenset(model.mail_domains or model.scopes),
        contacts=tuple(
            Contact(role=each.role, name=each.name, email=each.email, phone=each.phone, hours=each.hours or {})
            for each in model.contacts
        ),
        withhold=frozenset(model.withhold),
    )


def _identity_provider(
    model: models.IdentityProviderModel, metadata: MetadataFile | None, oidc: OidcProvider | None
) -> IdentityProvider:
    return IdentityProvider(
        id=IdentityProviderId(model.id),
        protocol=Protocol(model.protocol),
        organisations=tuple(OrganisationId(each) for each in model.organisations),
        dialect=model.dialect,
        organisation_from=_organisation_from(model.organisation_from) if model.organisation_from else None,
        subject=SubjectRule(keyspace=model.subject.keyspace or model.id, source=model.subject.source),
        attributes=tuple(_attribute_rule(name, rule) for name, rule in model.attributes.items()),
        assurance={signal: AssuranceRule(level=rule.level, mfa=rule.mfa) for signal, rule in model.assurance.items()},
        **_saml_switches(model),
        metadata=metadata,
        oidc=oidc,
    )


def _saml_switches(model: models.IdentityProviderModel | models.ServiceModel) -> dict[str, Any]:
    """The keys that documents of protocol saml alone may have, by their names in the model."""
    if isinstance(model, models.SamlIdentityProviderModel):
        quirks = dialects.load(model.dialect).quirks if model.quirks is None else frozenset(model.quirks)
        return {
            "quirks": quirks,
            "unsolicited": model.unsolicited,
            "artifact": model.artifact,
            "sha1_until": model.sha1_until,
        }
    if isinstance(model, models.SamlServiceModel):
        return {"sign_requests": model.sign_requests, "unsolicited": model.unsolicited, "cbc": model.cbc}
    return {}


def _organisation_from(model: models.OrganisationFromModel) -> OrganisationFrom:
    table = {value: OrganisationId(each) for value, each in model.table.items()} if model.table is not None else None
    return OrganisationFrom(source=model.source, table=table)


def _attribute_rule(name: str, rule: models.AttributeRuleModel) -> AttributeRule:
    return AttributeRule(
        attribute=name,
        sources=tuple(rule.sources),
        transforms=tuple(rule.transforms),
        split=rule.split,
        table=rule.table,
        constant=tuple(rule.constant),
    )


def _agreement(model: models.AgreementModel) -> Agreement:
    return Agreement(
        id=AgreementId(model.id),
        name=model.name,
        parties=frozenset(OrganisationId(each) for each in model.parties),
        services=frozenset(ServiceId(each) for each in model.services),
        owners=frozenset(OrganisationId(each) for each in model.owners),
        valid_from=model.valid_from,
        valid_until=model.valid_until,
        signed={OrganisationId(party): day for party, day in model.signed.items()},
    )
