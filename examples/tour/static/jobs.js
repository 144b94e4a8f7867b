// Uploads a file, follows its job with server-sent events, and shows the callback at the end.
const form = document.querySelector(".job-form");
const result = document.querySelector(".result");
const progress = document.getElementById("progress");
const lines = document.getElementById("events");
const cancel = document.getElementById("cancel");
const button = form.querySelector(".primary");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  lines.textContent = "";
  progress.value = 0;
  result.textContent = "Sending …";
  try {
    const answer = await fetch(form.dataset.api, { method: "POST", body: new FormData(form) });
    const job = await answer.json();
    if (answer.status !== 202) throw new Error(job.error);
    addLine(`202 Accepted   ${answer.headers.get("Location")}`);
    await follow(job);
  } catch (error) {
    result.textContent = error.message || "The server did not respond.";
  }
  button.disabled = false;
  cancel.hidden = true;
});

function follow(job) {
  cancel.hidden = false;
  cancel.onclick = () => fetch(job.links.self, { method: "DELETE" }).then(showError);
  return new Promise((resolve) => {
    const events = new EventSource(job.links.events);
    const end = async (event) => {
      events.close();
      show(JSON.parse(event.data));
      await showCallback(job.id);
      resolve();
    };
    for (const name of ["state", "progress"]) {
      events.addEventListener(name, (event) => show(JSON.parse(event.data)));
    }
    events.onerror = () => {
      // After a restart of the server the browser connects again, unless the answer was an error.
      if (events.readyState !== EventSource.CLOSED) return;
      result.textContent = "The server does not know this job any more.";
      resolve();
    };
    for (const name of ["done", "failed", "cancelled", "lost"]) events.addEventListener(name, end);
  });
}

function show(job) {
  const { fraction, message } = job.progress ?? { fraction: 0, message: "" };
  progress.value = job.state === "done" ? 1 : fraction;
  result.textContent = `${job.state} ${message}`;
  addLine(`${job.state}   ${job.result ? JSON.stringify(job.result) : message}`);
}

async function showError(answer) {
  if (!answer.ok) result.textContent = (await answer.json()).error;
}

async function showCallback(id) {
  for (let tries = 0; tries < 25; tries += 1) {
    const answer = await fetch(form.dataset.callbacks + id, { cache: "no-store" });
    if (answer.ok) {
      const callback = await answer.json();
      addLine(`callback   ${callback.webhook_id}: ${callback.state}`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  addLine("callback   none received");
}

function addLine(line) {
  lines.append(`${line}\n`);
}
