// Listens to the clock's events and shows each; the browser connects again when the stream breaks off.
const button = document.getElementById("listen");
const result = document.querySelector(".result");
const time = document.getElementById("time");
let events = null;

button.addEventListener("click", () => (events ? hangUp() : listen()));
listen();

function listen() {
  button.textContent = "Hang up";
  result.textContent = "Connecting …";
  events = new EventSource(button.dataset.url);
  events.addEventListener("message", (event) => show(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    result.textContent = "The stream broke off. Connecting again …";
  });
}

function hangUp() {
  events.close();
  events = null;
  button.textContent = "Listen";
  result.textContent = "Nobody listens here.";
}

function show(tick) {
  time.textContent = tick.time;
  result.textContent = `${tick.readers} ${tick.readers === 1 ? "reader" : "readers"} now, told by ${tick.thread}.`;
}
