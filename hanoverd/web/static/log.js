"use strict";
// Follows the log of an app. Without it, the page has the lines that there were when it was loaded.
{
  const RETRY_MS = 1000;
  const MOST_LINES = 1000;

  const box = document.getElementById("log");
  const newest = document.getElementById("log-newest");

  let stream = null;
  let isInSight = false;
  // Whether the newest line is shown; not while the reader looks at older ones.
  let isFollowing = true;
  // What has come since the screen was drawn, and whether it is the beginning of the log.
  let waiting = [];
  let isBeginning = false;
  let frame = 0;

  function scrollToEnd() {
    box.scrollTop = box.scrollHeight;
  }

  // Lines are shown when the screen is drawn: there can be thousands a second.
  function add(text) {
    if (waiting.push(text) > MOST_LINES) waiting.shift();
    frame ||= requestAnimationFrame(showWaiting);
  }

  function showWaiting() {
    const lines = waiting.map((text) => {
      const line = document.createElement("div");
      line.textContent = text;
      return line;
    });
    if (isBeginning) box.replaceChildren(...lines);
    else box.append(...lines);
    [waiting, isBeginning, frame] = [[], false, 0];
    // Older lines stay where the reader looks at them, up to a limit.
    const most = isFollowing ? MOST_LINES : 2 * MOST_LINES;
    while (box.childElementCount > most) box.firstElementChild.remove();
    if (isFollowing) scrollToEnd();
    else newest.hidden = false;
  }

  function connect() {
    stream?.close();
    stream = new EventSource(box.dataset.source);
    stream.addEventListener("start", () => {
      waiting = [];
      isBeginning = true;
    });
    stream.addEventListener("message", (event) => add(event.data));
    stream.addEventListener("error", (event) => {
      if (event.target.readyState === EventSource.CLOSED) setTimeout(connectIfShown, RETRY_MS);
    });
  }

  // A browser has only six connections to a server: a log that is out of sight holds none.
  function connectIfShown() {
    if (!isInSight || document.hidden) {
      stream?.close();
      stream = null;
    } else if (!stream || stream.readyState === EventSource.CLOSED) connect();
  }

  box.addEventListener("scroll", () => {
    isFollowing = box.scrollTop + box.clientHeight >= box.scrollHeight - 4;
    if (isFollowing) newest.hidden = true;
  });
  newest.addEventListener("click", () => {
    isFollowing = true;
    newest.hidden = true;
    scrollToEnd();
    box.focus();
  });
  document.addEventListener("visibilitychange", connectIfShown);
  new IntersectionObserver((entries) => {
    isInSight = entries[entries.length - 1].isIntersecting;
    connectIfShown();
  }).observe(box);
  scrollToEnd();
}
