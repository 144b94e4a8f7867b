// Sends ten slow requests and draws each: hatched while it waits in the browser, solid once it is sent.
const button = document.getElementById("fire");
const result = document.querySelector(".result");
const rows = [...document.querySelectorAll(".bars li")];
const SPAN = 5000; // milliseconds across the track, as the axis says

button.addEventListener("click", async () => {
  button.disabled = true;
  result.textContent = "Ten requests are running …";
  performance.clearResourceTimings();
  const start = performance.now();
  const threads = await Promise.all(rows.map((row, number) => fire(row, number, start)));
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const distinct = new Set(threads.filter(Boolean)).size;
  result.textContent = `All done after ${seconds} s, served by ${distinct} threads.`;
  button.disabled = false;
});

async function fire(row, number, start) {
  const url = new URL(`${button.dataset.url}?seconds=2&n=${number}`, location);
  const who = row.querySelector(".who");
  row.className = "flying";
  who.textContent = "…";
  const stop = animate(row, start);
  try {
    const answer = await (await fetch(url, { cache: "no-store" })).json();
    const end = performance.now();
    stop();
    const sent = performance.getEntriesByName(url.href).at(-1)?.requestStart || end - answer.took * 1000;
    row.className = "done";
    draw(row, sent - start, end - start);
    who.textContent = answer.thread;
    return answer.thread;
  } catch {
    stop();
    row.className = "failed";
    who.textContent = "no response";
    return null;
  }
}

function animate(row, start) {
  let frame;
  const step = () => {
    draw(row, 0, performance.now() - start);
    frame = requestAnimationFrame(step);
  };
  step();
  return () => cancelAnimationFrame(frame);
}

function draw(row, sent, end) {
  const share = (time) => `${Math.min(100, (time / SPAN) * 100)}%`;
  row.style.setProperty("--sent", share(sent));
  row.style.setProperty("--end", share(end));
}
