// Reads the stream and shows each chunk when it arrives.
const button = document.getElementById("read");
const result = document.querySelector(".result");
const lines = document.getElementById("lines");

button.addEventListener("click", async () => {
  button.disabled = true;
  lines.textContent = "";
  result.textContent = "Reading …";
  const start = performance.now();
  try {
    const response = await fetch(button.dataset.url, { cache: "no-store" });
    const pieces = await read(response.body.pipeThrough(new TextDecoderStream()).getReader(), start);
    result.textContent = `Arrived in ${pieces} chunks.`;
  } catch {
    result.textContent = "The stream was interrupted.";
  }
  button.disabled = false;
});

async function read(reader, start) {
  let pieces = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return pieces;
    pieces += 1;
    const seconds = ((performance.now() - start) / 1000).toFixed(2);
    lines.append(`${seconds} s   ${value}`);
  }
}
