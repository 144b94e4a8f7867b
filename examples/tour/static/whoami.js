// Sends twenty requests, each with its own name, and checks that each saw only that name.
const button = document.getElementById("fire");
const result = document.querySelector(".result");
const tiles = [...document.querySelectorAll(".tiles li")];

button.addEventListener("click", async () => {
  button.disabled = true;
  result.textContent = "Twenty requests are running …";
  const answers = await Promise.all(tiles.map(check));
  const good = answers.filter((answer) => answer.isolated).length;
  const threads = new Set(answers.map((answer) => answer.thread).filter(Boolean)).size;
  result.textContent = `${good} of ${tiles.length} saw only their own state, on ${threads} threads.`;
  button.disabled = false;
});

async function check(tile) {
  const name = tile.querySelector(".name").textContent;
  tile.className = "waiting";
  tile.querySelector(".saw").textContent = "…";
  try {
    const query = new URLSearchParams({ name, hold: 0.2 });
    // Without the cookie, each request is a new visitor, and this browser's session does not change.
    const response = await fetch(`${button.dataset.url}?${query}`, { credentials: "omit", cache: "no-store" });
    const { saw, thread } = await response.json();
    const others = ["request", "session", "g"].filter((place) => saw[place] !== name);
    const seen = others.map((place) => `${place}: ${saw[place]}`).join(", ");
    return show(tile, others.length === 0, seen || thread.name, thread.name);
  } catch {
    return show(tile, false, "no response", null);
  }
}

function show(tile, isolated, text, thread) {
  tile.className = isolated ? "good" : "bad";
  tile.querySelector(".saw").textContent = text;
  return { isolated, thread };
}
