"""The broker as the services' OpenID Provider: reads their requests, writes their answers. Decides nothing about a person."""
