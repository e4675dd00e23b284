"use strict";
// Tables that are wider than the page: their section is marked, so that it is said.
const look = () => {
  for (const box of document.querySelectorAll(".scroll"))
    box.parentElement.classList.toggle("wide", box.scrollWidth > box.clientWidth + 1);
};
addEventListener("resize", look);
look();
// Swipe bars: a range input over two pictures says how much of the upper one is seen.
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
