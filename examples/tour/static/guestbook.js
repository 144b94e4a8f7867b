// The guestbook's form: posts JSON, shows the server's response, adds and removes notes.
const form = document.querySelector(".note-form");
const list = document.querySelector(".notes");
const result = form.querySelector(".result");
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const note = Object.fromEntries(new FormData(form));
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(form.dataset.api, { method: "POST", headers, body: JSON.stringify(note) });
  const body = await response.json();
  showProblems(body.fields ?? {});
  result.textContent = `${response.status} ${response.ok ? "Thank you." : body.error}`;
  if (response.ok) {
    list.prepend(drawn(body));
    form.reset();
  }
});

list.addEventListener("click", async (event) => {
  const note = event.target.closest(".remove") && event.target.closest("li");
  if (!note) return;
  const response = await fetch(`${form.dataset.api}/${note.dataset.id}`, { method: "DELETE" });
  result.textContent = response.ok ? `${response.status} Removed.` : `${response.status} It was already removed.`;
  note.remove();
  list.querySelector(".remove")?.focus();
});

function showProblems(problems) {
  for (const field of form.querySelectorAll("input, textarea")) {
    field.toggleAttribute("aria-invalid", field.name in problems);
    document.getElementById(`${field.name}-problem`).textContent = problems[field.name] ?? "";
  }
  form.querySelector("[aria-invalid]")?.focus();
}

// textContent, not innerHTML: a visitor's text must stay text.
function drawn(note) {
  const item = document.getElementById("note").content.firstElementChild.cloneNode(true);
  const written = new Date(note.written);
  item.dataset.id = note.id;
  item.querySelector(".message").textContent = note.message;
  item.querySelector(".name").textContent = note.name;
  item.querySelector(".remove").setAttribute("aria-label", `Remove the note by ${note.name}`);
  item.querySelector("time").textContent = clock.format(written);
  item.querySelector("time").dateTime = written.toISOString();
  return item;
}

for (const time of list.querySelectorAll("time")) time.textContent = clock.format(new Date(time.dateTime));
