// The page: joins the socket, the tiles, the hold key and the buttons.

import { HoldKey, wireHoldKey } from "./hold.js";
import { Link, post } from "./link.js";
import { Tiles } from "./tiles.js";
import { byId, setText, showButtons, showConnections, showMode, showStatus } from "./view.js";

const STATUS_STALE_AFTER = 1; // [s]
const NO_KEY = "This rig is a simulation and runs without hold-to-run";

let status = null; // the newest BridgeStatus
let statusAt = -Infinity; // [s] when the bridge said it, on this page's clock
let bridge = { connected: false, address: "", sentence: "waiting for the console's server" };
let socketProblem = "connecting to the console's server";
let control = { mine: false, sentence: "Connecting" };
let holdProblem = "the hold stream is not open";
let holdOpen = false;
let formFilled = false;

const tiles = new Tiles(byId("tiles"));
const hold = new HoldKey({ send: (beat) => link.send({ type: "heartbeat", ...beat }), changed: showHold });
const link = new Link({ heard, pictured: (header, jpeg) => tiles.show(header, jpeg), closed });
wireHoldKey(hold, byId("hold"));

const statusAge = () => performance.now() / 1000 - statusAt;
const isLive = () => !socketProblem && bridge.connected && status !== null && statusAge() <= STATUS_STALE_AFTER;

function heard(message) {
  switch (message.type) {
    case "welcome":
      socketProblem = "";
      tiles.restart();
      break;
    case "status":
      bridge = message.bridge;
      control = message.control;
      if (message.status) {
        status = message.status;
        statusAt = performance.now() / 1000 - message.status_age;
        tiles.expect(status.cameras.map((camera) => camera.name));
        showStatus(status);
        fillForm();
      }
      break;
    case "hold":
      holdOpen = true; // the bridge has sent a nonce: the lease is ours
      hold.hear(message);
      break;
    case "hold_closed":
      holdOpen = false;
      holdProblem = message.sentence;
      break;
  }
  refresh();
}

function closed(why) {
  socketProblem = why;
  control = { mine: false, sentence: "Not connected" };
  holdOpen = false;
  refresh();
}

// What the bridge's first status says about the next trial; afterwards the form is the operator's.
function fillForm() {
  const { policy, record } = byId("trial-form").elements;
  if (!formFilled) {
    record.checked = !status.recording.problem;
    if (!policy.value) policy.value = status.policy;
    formFilled = true;
  }
  setText(byId("record-note"), status.recording.problem ? `(${status.recording.problem})` : "");
}

function refresh() {
  const live = isLive();
  showMode(status, live, statusAge());
  showButtons(live ? status : null, control.mine);
  showConnections(status, socketProblem ? { connected: false, sentence: socketProblem } : bridge);
  const banner = byId("link-banner");
  const sentence = socketProblem
    ? `No connection: ${socketProblem}. The hold key is released; trying again.`
    : bridge.connected ? "" : bridge.sentence;
  banner.hidden = !sentence;
  setText(banner, sentence);
  if (!live) setText(byId("needs"), sentence || "Waiting for the bridge's state.");
  setText(byId("control-sentence"), control.sentence);
  byId("take-control").hidden = control.mine || Boolean(socketProblem);
  hold.setObstacle(holdObstacle(live));
}

function holdObstacle(live) {
  if (!live) return "no live connection to the bridge";
  if (!status.hold_required) return NO_KEY;
  if (!control.mine) return "another page has control";
  return holdOpen ? "" : holdProblem;
}

function showHold(state, why) {
  byId("hold").dataset.hold = state;
  byId("hold").setAttribute("aria-disabled", state === "off" ? "true" : "false");
  const words = {
    off: why === NO_KEY ? ["No key to hold", `${NO_KEY}.`] : ["Hold to run", `Not now: ${why || "not connected yet"}.`],
    ready: ["Hold to run", why ? `Released: ${why}.` : "Keep Space or this button pressed."],
    asking: ["Asking the bridge", "Keep it pressed."],
    held: ["Held", "Let go to make the arm hold still."],
    lost: ["Hold lost", `Because ${why}. Let go, then press again.`],
  }[state];
  setText(byId("hold-word"), words[0]);
  setText(byId("hold-note"), words[1]);
}

// STOP goes out on every way there is, and none of them waits for another.
function stop() {
  const request = post("/api/stop", { operator: operatorName() }, link.page);
  link.send({ type: "stop", operator: operatorName() });
  hold.end("STOP was pressed");
  request.then((sentence) => {
    answer(sentence ? `STOP by the web request failed: ${sentence}. Use the robot's emergency stop.` : "STOP sent.");
  });
}

function answer(sentence) {
  const box = byId("answer");
  setText(box, sentence);
  box.hidden = !sentence;
  clearTimeout(answer.timer);
  answer.timer = setTimeout(() => { box.hidden = true; }, 12000);
}

const operatorName = () => byId("trial-form").elements.operator.value.trim();

async function act(button) {
  const { action } = button.dataset;
  const sentence = await post("/api/send", { action, operator: operatorName() }, link.page);
  answer(sentence && `${button.textContent.trim()} was refused: ${sentence}`);
  if (!sentence && action === "start" && status?.hold_required) byId("hold").focus();
}

function trialId() {
  const now = new Date();
  const two = (value) => String(value).padStart(2, "0");
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  return `${day}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
}

async function prepare(form) {
  const split = form.split.value.trim();
  const setup = {
    trial_id: trialId(),
    policy: form.policy.value.trim(),
    instruction: form.instruction.value.trim(),
    start_pose: form.start_pose.value.trim(),
    time_limit: Number(form.time_limit.value),
    record: form.record.checked,
    scene: status?.driver === "twin" && split ? { split, seed: Number(form.seed.value) } : null,
  };
  const sentence = await post("/api/prepare", setup, link.page);
  answer(sentence && `The trial was not prepared: ${sentence}`);
}

byId("stop-form").addEventListener("submit", (event) => {
  event.preventDefault();
  stop();
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    event.preventDefault();
    stop();
  }
}, { capture: true });
for (const button of document.querySelectorAll("[data-action]")) {
  button.addEventListener("click", (event) => {
    if (event.detail > 0) button.blur(); // clicked by a pointer: Space is the hold key again
    act(button);
  });
}
byId("looked").addEventListener("change", refresh);
byId("take-control").addEventListener("click", () => link.send({ type: "take_control" }));
byId("trial-form").addEventListener("submit", (event) => {
  event.preventDefault();
  document.activeElement?.blur();
  prepare(event.target.elements);
});

const remembered = byId("trial-form").elements.operator;
remembered.value = localStorage.getItem("touchdown-operator") ?? "";
remembered.addEventListener("change", () => localStorage.setItem("touchdown-operator", remembered.value.trim()));

setInterval(() => {
  tiles.tick();
  refresh();
}, 100);
