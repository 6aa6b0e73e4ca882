// Only the part after the @ sign leaves the browser, as the page says.
for (const form of document.querySelectorAll("form[data-mail]")) {
  form.addEventListener("formdata", ({ formData }) => {
    const typed = formData.get("mail");
    formData.set("mail", typed.slice(Math.max(0, typed.lastIndexOf("@"))));
  });
}
