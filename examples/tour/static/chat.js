// Sends and shows the messages of the chat. It connects again when the WebSocket is closed.
const form = document.getElementById("chat");
const lines = document.getElementById("lines");
const result = document.querySelector(".result");
let ws = null;

connect();

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ws.send(form.elements.text.value);
  form.reset();
});

function connect() {
  ws = new WebSocket(form.dataset.url);
  ws.addEventListener("open", () => {
    result.textContent = "Connected.";
  });
  ws.addEventListener("message", (event) => {
    const { by, text } = JSON.parse(event.data);
    lines.prepend(`${by}: ${text}\n`);
  });
  ws.addEventListener("close", (event) => {
    result.textContent = `Closed with code ${event.code}. Connecting again …`;
    setTimeout(connect, 1000);
  });
}
