// While a clip plays, a line runs through its pictures; two players never sound at once.
const players = [...document.querySelectorAll("audio")];
for (const player of players) {
  const lines = [...player.closest("section").querySelectorAll(".playhead")];
  const move = () => {
    const at = player.currentTime - Number(player.dataset.starts);
    for (const line of lines) {
      const { left, scale } = line.ownerSVGElement.dataset;
      const x = Math.max(Number(left), Number(left) + at * Number(scale));
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
      line.classList.toggle("on", !player.paused);
    }
    if (!player.paused) requestAnimationFrame(move);
  };
  player.addEventListener("play", () => {
    for (const other of players) if (other !== player) other.pause();
    move();
  });
}
