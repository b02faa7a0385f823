// The hold-to-run key. Motion is permitted only while this file keeps sending heartbeats, and everything
// that is not a plain, continued press ends the hold: it comes back with a new press, never by itself.

const BEAT_PERIOD = 50; // [ms], 20 Hz
const FRESH_NONCE = 100; // [ms]: an older nonce is renewed before the first heartbeat of a press
const ASK_PATIENCE = 1000; // [ms] until the bridge must count a press
const MISSED_BEAT = 250; // [ms] between two heartbeats: this page was stuck, the press counts no more

export class HoldKey {
  // send(heartbeat): hand one heartbeat to the socket; changed(state, why): for the display.
  constructor({ send, changed, now = () => performance.now() }) {
    this.send = send;
    this.changed = changed;
    this.now = now;
    this.obstacle = "not connected yet";
    this.source = null; // "key" or "pointer" while pressed
    this.state = "off"; // off, ready, asking, held, lost
    this.press = 0;
    this.nonce = null;
    this.nonceAt = -Infinity;
    this.beatAt = 0;
    this.beating = null; // the timer of the heartbeats
    this.patience = null;
  }

  // Why the key cannot work now; empty when it can.
  setObstacle(obstacle) {
    if (obstacle === this.obstacle) return;
    this.obstacle = obstacle;
    if (!obstacle) {
      this.show("ready", "");
      return;
    }
    this.end(obstacle);
    this.nonceAt = -Infinity; // the next press asks for a nonce first
    this.show("off", obstacle);
  }

  begin(source) {
    if (this.obstacle) return;
    if (this.source !== null) {
      this.end("two presses at once");
      return;
    }
    this.source = source;
    this.press = Math.max(this.press + 1, Date.now());
    this.show("asking", "");
    this.patience = setTimeout(() => this.lose("the bridge does not count this press"), ASK_PATIENCE);
    if (this.now() - this.nonceAt <= FRESH_NONCE) this.run();
    else this.send({ nonce: this.nonce ?? "0", press: 0, held: false });
  }

  run() {
    this.beatAt = this.now();
    this.beating = setInterval(() => this.beat(), BEAT_PERIOD);
    this.beat();
  }

  beat() {
    const at = this.now();
    if (!(at - this.beatAt <= MISSED_BEAT)) {
      this.lose("this page was stuck for a moment");
      return;
    }
    this.beatAt = at;
    this.send({ nonce: this.nonce, press: this.press, held: true });
  }

  // A HoldState of the bridge.
  hear({ nonce, held, press }) {
    this.nonce = nonce;
    this.nonceAt = this.now();
    if (this.state === "asking" && this.beating === null) {
      this.run();
    } else if (this.state === "asking" && held && press === this.press) {
      clearTimeout(this.patience);
      this.show("held", "");
    } else if (this.state === "held" && !(held && press === this.press)) {
      this.lose("the heartbeats arrived too late");
    }
  }

  // The hold is over although the key may still be down: only a new press brings it back.
  lose(why) {
    this.stopBeating();
    this.show("lost", why);
  }

  // The key is up, or whatever counts as that.
  end(why) {
    if (this.source === null) return;
    this.source = null;
    this.stopBeating();
    this.show(this.obstacle ? "off" : "ready", why);
  }

  stopBeating() {
    clearTimeout(this.patience);
    clearInterval(this.beating);
    if (this.beating !== null) this.send({ nonce: this.nonce, press: this.press, held: false });
    this.beating = null;
  }

  show(state, why) {
    this.state = state;
    this.changed(state, why ?? "");
  }
}

const TEXT_FIELDS = "input:not([type=checkbox]), textarea, select, [contenteditable=true]";
const OWN_SPACE = "button, input, textarea, select, summary, a, [contenteditable=true]";

// Connect a HoldKey to the keyboard, to its button on the page, and to all that ends a hold.
export function wireHoldKey(hold, pad) {
  const belongsElsewhere = (target) => target !== pad && target.closest?.(OWN_SPACE) != null;

  addEventListener("keydown", (event) => {
    if (event.code !== "Space" || belongsElsewhere(event.target)) return;
    event.preventDefault();
    if (event.repeat) return; // a repeat never begins a hold: its press was not made here
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) {
      hold.end("another key was pressed with it");
      return;
    }
    hold.begin("key");
  });
  addEventListener("keyup", (event) => {
    if (event.code !== "Space") return;
    if (event.target === pad) event.preventDefault();
    if (hold.source === "key") hold.end("");
  });

  pad.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    pad.setPointerCapture(event.pointerId);
    hold.begin("pointer");
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    pad.addEventListener(name, () => {
      if (hold.source === "pointer") hold.end("");
    });
  }
  pad.addEventListener("contextmenu", (event) => event.preventDefault());

  addEventListener("blur", () => hold.end("the window lost the focus"));
  addEventListener("pagehide", () => hold.end("the page was left"));
  document.addEventListener("freeze", () => hold.end("the page was frozen"));
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "visible") hold.end("the page was hidden");
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.matches?.(TEXT_FIELDS)) hold.end("a text field has the focus");
  });
}
