"use strict";
// Mark the sections of tables that are wider than the page, so that a hint appears.
const markWide = () => {
  for (const box of document.querySelectorAll(".scroll"))
    box.parentElement.classList.toggle("wide", box.scrollWidth > box.clientWidth + 1);
};
addEventListener("resize", markWide);
markWide();
// Swipe bars: a range input over two pictures sets how much of the upper one is visible.
document.documentElement.classList.add("scripted");
for (const example of document.querySelectorAll(".example")) {
  const bars = [...example.querySelectorAll(".swipe input")];
  const move = (at) => {
    for (const bar of bars) {
      bar.value = at;
      bar.setAttribute("aria-valuetext", `${at} % generated, ${100 - at} % real`);
      bar.parentElement.style.setProperty("--at", `${at}%`);
    }
  };
  for (const bar of bars) bar.addEventListener("input", () => move(bar.valueAsNumber));
  move(50);
}
// Leaf through the tiles: one at a time, chosen by the list or by the buttons beside it.
for (const leaves of document.querySelectorAll(".leaves")) {
  const tiles = [...leaves.querySelectorAll(".example")];
  const list = leaves.querySelector(".turn select");
  const turn = (to) => {
    const at = (to + tiles.length) % tiles.length;
    tiles.forEach((tile, number) => tile.classList.toggle("open", number === at));
    if (list) list.selectedIndex = at;
  };
  const [back, next] = leaves.querySelectorAll(".turn button");
  list?.addEventListener("change", () => turn(list.selectedIndex));
  back?.addEventListener("click", () => turn(list.selectedIndex - 1));
  next?.addEventListener("click", () => turn(list.selectedIndex + 1));
  turn(0);
}
