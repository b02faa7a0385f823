// One status of the bridge, written into the page. Nothing is touched that has not changed.

import { seconds } from "./tiles.js";

export const byId = (id) => document.getElementById(id);

const SIGNS = { IDLE: "○", ARMED: "◇", RUNNING: "▶", HOLDING: "‖", FAULT: "✕", UNKNOWN: "?" };
const WORDS = { IDLE: "Idle", ARMED: "Armed", RUNNING: "Running", HOLDING: "Holding", FAULT: "Fault", UNKNOWN: "Unknown" };
// Which buttons make sense in a mode; the bridge decides, this only keeps the page calm.
const SENSIBLE = {
  IDLE: ["arm"],
  ARMED: ["start", "disarm"],
  RUNNING: ["pause", "disarm"],
  HOLDING: ["start", "pause", "disarm"],
  FAULT: ["clear"],
  UNKNOWN: [],
};

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const milliseconds = (value) => (value == null ? "–" : `${(value * 1000).toFixed(0)} ms`);
const number = (value, digits) => (value == null ? "–" : value.toFixed(digits));

function rows(body, pairs) {
  while (body.rows.length > pairs.length) body.deleteRow(-1);
  pairs.forEach(([label, value], index) => {
    let row = body.rows[index];
    if (!row) {
      row = body.insertRow();
      const head = document.createElement("th");
      head.scope = "row";
      row.append(head, document.createElement("td"));
    }
    setText(row.cells[0], label);
    setText(row.cells[1], value);
  });
}

const ARM_STALE_AFTER = 0.05; // [s], the bridge's own limit
const LITTLE_DISK = 2e9; // [bytes]

// Connections: [name, state "good" | "bad" | "off", words]
function connections(status, link) {
  const items = [["Bridge", link.connected ? "good" : "bad", link.connected ? link.address : link.sentence]];
  if (!status) return items;
  if (!link.connected) {
    const names = ["Policy server", ...status.cameras.map(({ name }) => `Camera ${name}`), "Arm", "Recorder", "Disk", "Hold key"];
    return [...items, ...names.map((name) => [name, "off", "unknown"])];
  }
  const served = status.server_state === "connected";
  items.push(["Policy server", served ? "good" : status.policy ? "bad" : "off", served ? `${status.server || "connected"}` : status.server_state]);
  for (const camera of status.cameras) {
    const good = camera.age != null && camera.age <= camera.age_limit;
    const age = `${seconds(camera.age)} old${good ? "" : `, limit ${seconds(camera.age_limit)}`}`;
    items.push([`Camera ${camera.name}`, good ? "good" : "bad", `${camera.rate.toFixed(0)} Hz · ${age}`]);
  }
  const armGood = status.mode !== "FAULT" && status.arm_age != null && status.arm_age <= ARM_STALE_AFTER;
  const armAge = status.arm_age == null ? "no state yet" : `state ${milliseconds(status.arm_age)} old`;
  items.push(["Arm", armGood ? "good" : "bad", status.mode === "FAULT" ? status.why : armAge]);
  const { recording } = status;
  const dropped = recording.dropped > 0 ? ` · ${recording.dropped} dropped` : "";
  if (recording.problem) items.push(["Recorder", "bad", recording.problem]);
  else items.push(["Recorder", recording.active ? "good" : "off", (recording.active ? "recording" : "not recording") + dropped]);
  if (recording.problem && recording.free_bytes === 0) items.push(["Disk", "off", "unknown"]);
  else items.push(["Disk", recording.free_bytes > LITTLE_DISK ? "good" : "bad", `${(recording.free_bytes / 1e9).toFixed(1)} GB free`]);
  items.push(["Hold key", status.lease_holder ? "good" : "off", status.lease_holder ? `lease: ${status.lease_holder}` : "no lease"]);
  return items;
}

const STRIP_SIGNS = { good: "●", bad: "▲", off: "○" };
const STRIP_WORDS = { good: "in order", bad: "needs attention", off: "not in use" };

function strip(list, items) {
  while (list.children.length > items.length) list.lastElementChild.remove();
  items.forEach(([name, state, words], index) => {
    let item = list.children[index];
    if (!item) {
      item = document.createElement("div");
      item.innerHTML = "<dt><span class='sign'></span><span class='name'></span></dt><dd></dd>";
      list.append(item);
    }
    item.dataset.state = state;
    const sign = item.querySelector(".sign");
    setText(sign, STRIP_SIGNS[state]);
    sign.setAttribute("aria-label", STRIP_WORDS[state]);
    sign.setAttribute("role", "img");
    setText(item.querySelector(".name"), name);
    setText(item.querySelector("dd"), words);
    item.querySelector("dd").title = words;
  });
}

function problems(list) {
  const box = byId("problems");
  byId("problems-box").hidden = list.length === 0;
  if (box.dataset.text === list.join("\n")) return;
  box.dataset.text = list.join("\n");
  box.replaceChildren(...list.map((problem) => Object.assign(document.createElement("li"), { textContent: problem })));
}

export function showConnections(status, link) {
  strip(byId("strip"), connections(status, link));
}

export function showMode(status, live, age) {
  const mode = live ? status.mode : "UNKNOWN";
  document.body.dataset.live = live ? "yes" : "no";
  document.body.dataset.mode = mode;
  setText(byId("mode-sign"), SIGNS[mode]);
  setText(byId("mode"), WORDS[mode]);
  if (!document.title.startsWith(WORDS[mode])) document.title = `${WORDS[mode]} · Touchdown`;
  byId("state-age").hidden = live || !status;
  if (!live && status) setText(byId("state-age"), `was ${WORDS[status.mode].toLowerCase()} ${seconds(age)} ago`);
}

export function showStatus(status) {
  setText(byId("rig"), `${status.rig} · ${status.driver}`);
  setText(byId("why"), status.why);
  setText(byId("needs"), status.needs);
  problems(status.problems);

  setText(byId("trial-label"), status.trial_id ? `Trial ${status.trial_id} · ${status.policy}` : "No trial prepared");
  setText(byId("instruction"), status.instruction || status.truth?.instruction || "Prepare a trial to begin.");
  setText(byId("elapsed"), status.elapsed.toFixed(1));
  setText(byId("time-limit"), status.time_limit.toFixed(0));
  byId("progress").value = status.time_limit > 0 ? Math.min(1, status.elapsed / status.time_limit) : 0;
  byId("truth").hidden = !status.truth;
  if (status.truth) {
    byId("truth").dataset.success = status.truth.success ? "yes" : "no";
    setText(byId("truth"), status.truth.success ? "✓ The twin says: success" : `Stage: ${status.truth.stage}`);
  }

  const { verdict, verdict_counts: counts } = status;
  byId("verdict").dataset.kind = verdict.kind;
  const total = ["PASS", "CLAMP", "HOLD", "STOP"].map((kind) => `${kind} ${counts[kind] ?? 0}`).join(" · ");
  setText(byId("verdict"), [verdict.kind, verdict.reasons.join("; "), total].filter(Boolean).join("\n"));

  const [x, y, z] = status.tcp_pose.position;
  rows(byId("robot-rows"), [
    ["Tool x y z", `${number(x, 3)}  ${number(y, 3)}  ${number(z, 3)} m`],
    ["Tool speed", `${number(status.tcp_speed, 3)} m/s`],
    ["Gripper", status.gripper_width == null ? "–" : `${(status.gripper_width * 1000).toFixed(1)} mm`],
    ["Joints [rad]", status.joint_position.map((angle) => number(angle, 2)).join("  ")],
    ["Arm state", status.arm_age == null ? "never" : `${milliseconds(status.arm_age)} old`],
  ]);
  rows(byId("loop-rows"), [
    ["Image to action p50 / p99", `${milliseconds(status.round_trip_p50)} / ${milliseconds(status.round_trip_p99)}`],
    ["Past the last action", milliseconds(status.chunk_age)],
    ["Ticks / missed", `${status.ticks} / ${status.missed_ticks}`],
    ["Late chunks", `${status.late_chunks}`],
    ["Policy digest", status.policy_digest ? status.policy_digest.slice(0, 12) : "–"],
  ]);
}

export function showButtons(status, mayControl) {
  const sensible = mayControl && status ? SENSIBLE[status.mode] : [];
  for (const button of document.querySelectorAll("[data-action]:not(#clear)")) {
    button.disabled = !sensible.includes(button.dataset.action);
  }
  const fault = status?.mode === "FAULT";
  byId("clear-row").hidden = !fault;
  if (!fault) byId("looked").checked = false;
  byId("clear").disabled = !(fault && mayControl && byId("looked").checked);
  byId("trial-form").querySelector("[type=submit]").disabled = !(mayControl && status && ["IDLE", "ARMED"].includes(status.mode));
  for (const label of document.querySelectorAll("label.scene")) label.hidden = status?.driver !== "twin";
}
