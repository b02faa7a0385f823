// Camera tiles. A picture always shows its age, and an old one is greyed and says so: it never looks live.

const STALE_AFTER = 0.5; // [s]

export function seconds(value) {
  if (value == null || !Number.isFinite(value)) return "never";
  return value < 9.95 ? `${value.toFixed(2)} s` : `${Math.round(value)} s`;
}

export class Tiles {
  constructor(box) {
    this.box = box;
    this.tiles = new Map();
  }

  // One tile per camera that the bridge names, whether or not a picture has come.
  expect(names) {
    for (const name of names) if (!this.tiles.has(name)) this.tiles.set(name, this.build(name));
    for (const [name, tile] of this.tiles) {
      if (!names.includes(name)) {
        tile.figure.remove();
        this.tiles.delete(name);
      }
    }
    this.box.dataset.count = this.tiles.size;
    this.box.querySelector(".empty").hidden = this.tiles.size > 0;
  }

  build(name) {
    const figure = document.createElement("figure");
    figure.className = "tile";
    figure.dataset.camera = name;
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Picture of camera ${name}`);
    const stale = document.createElement("p");
    stale.className = "stale";
    const caption = document.createElement("figcaption");
    const label = document.createElement("span");
    label.textContent = name;
    const age = document.createElement("span");
    age.className = "age";
    caption.append(label, age);
    figure.append(canvas, stale, caption);
    this.box.append(figure);
    return { figure, canvas, stale, age, exposedAt: -Infinity, sequence: -1 };
  }

  async show(header, jpeg) {
    const arrivedAt = performance.now();
    const tile = this.tiles.get(header.camera);
    if (!tile) return;
    let picture;
    try {
      picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    } catch {
      return; // a broken picture is no picture: the last one goes on ageing
    }
    if (header.sequence > tile.sequence) {
      tile.sequence = header.sequence;
      tile.canvas.width = picture.width;
      tile.canvas.height = picture.height;
      tile.canvas.getContext("2d").drawImage(picture, 0, 0);
      tile.exposedAt = arrivedAt / 1000 - header.age;
      this.age(tile);
    }
    picture.close();
  }

  // A new connection counts its pictures from the start.
  restart() {
    for (const tile of this.tiles.values()) tile.sequence = -1;
  }

  tick() {
    for (const tile of this.tiles.values()) this.age(tile);
  }

  age(tile) {
    const age = performance.now() / 1000 - tile.exposedAt;
    const stale = !(age <= STALE_AFTER);
    const never = !Number.isFinite(age);
    tile.age.textContent = never ? "no picture" : `${seconds(age)} old`;
    tile.figure.dataset.stale = stale ? "yes" : "no";
    const words = never ? "No picture yet" : stale ? `Not live: ${seconds(age)} old` : "";
    if (tile.stale.textContent !== words) tile.stale.textContent = words;
  }
}
