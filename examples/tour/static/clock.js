// Shows the clock's events. The browser reconnects by itself when the stream is interrupted.
const button = document.getElementById("listen");
const result = document.querySelector(".result");
const time = document.getElementById("time");
let events = null;

button.addEventListener("click", () => (events ? disconnect() : listen()));
listen();

function listen() {
  button.textContent = "Disconnect";
  result.textContent = "Connecting …";
  events = new EventSource(button.dataset.url);
  events.addEventListener("message", (event) => show(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    result.textContent = "The stream was interrupted. Reconnecting …";
  });
}

function disconnect() {
  events.close();
  events = null;
  button.textContent = "Connect";
  result.textContent = "Not connected.";
}

function show(tick) {
  time.textContent = tick.time;
  result.textContent = `${tick.readers} ${tick.readers === 1 ? "reader" : "readers"} now, sent by ${tick.thread}.`;
}
