// The page's one WebSocket: status, hold states and pictures down; heartbeats up. It reconnects by itself.

const RETRY_PERIOD = 1000; // [ms]

function csrf() {
  const cookie = document.cookie.split("; ").find((part) => /^touchdown_\d+_csrf=/.test(part) && part.startsWith(`touchdown_${location.port || (location.protocol === "https:" ? "443" : "80")}_`));
  return cookie ? cookie.slice(cookie.indexOf("=") + 1) : "";
}

export class Link {
  // heard(message): a JSON message; pictured(header, jpeg): a camera picture; closed(why)
  constructor({ heard, pictured, closed }) {
    this.heard = heard;
    this.pictured = pictured;
    this.closed = closed;
    this.page = "";
    this.socket = null;
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", csrf: csrf() }));
    socket.onmessage = (event) => {
      if (typeof event.data === "string") {
        const message = JSON.parse(event.data);
        if (message.type === "welcome") this.page = message.page;
        this.heard(message);
      } else {
        const view = new DataView(event.data);
        const length = view.getUint32(0);
        const header = JSON.parse(new TextDecoder().decode(new Uint8Array(event.data, 4, length)));
        this.send({ type: "seen", camera: header.camera, sequence: header.sequence });
        this.pictured(header, new Uint8Array(event.data, 4 + length));
      }
    };
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.page = "";
      this.closed(event.reason || "the connection to the console's server is lost");
      setTimeout(() => this.open(), RETRY_PERIOD);
    };
    this.socket = socket;
  }

  // False when it could not be put into the socket; it never throws, since STOP passes here too.
  send(message) {
    try {
      if (this.socket.readyState !== WebSocket.OPEN) return false;
      this.socket.send(JSON.stringify(message));
      return true;
    } catch {
      return false;
    }
  }
}

// A request that changes something; returns the sentence of a refusal, or "" when it was done.
export async function post(path, body, page) {
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json", "x-touchdown-csrf": csrf(), "x-touchdown-page": page },
      body: JSON.stringify(body),
      keepalive: true,
    });
    if (response.ok) return "";
    const answer = await response.json().catch(() => ({}));
    return answer.sentence ?? `the console answered ${response.status}`;
  } catch {
    return "the console's server does not answer";
  }
}
