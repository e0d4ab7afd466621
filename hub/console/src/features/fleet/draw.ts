// Draws cells. Each look is drawn once and then copied: five thousand cells are five
// thousand copies of some twenty small pictures.
import type { Look } from "./model";

/** Reads a token of the theme. */
type Token = (name: string) => string;

export function themeTokens(): Token {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--hw-${name}`).trim() || "#888888";
}

const gap = 2;

function paint(c: CanvasRenderingContext2D, look: Look, edge: number, token: Token): void {
  const s = edge - gap;
  const mid = s / 2;
  const value = /^value(\d)$/.exec(look.state)?.[1];
  const name =
    value !== undefined
      ? "accent"
      : look.state === "none"
        ? "border-strong"
        : look.state === "failed"
          ? "degraded"
          : look.state;
  const colour = token(name);
  const paper = token("bg");
  c.clearRect(0, 0, edge, edge);
  if (look.dimmed) c.globalAlpha = 0.22;
  const opaque = c.globalAlpha;
  c.lineWidth = 1;
  c.fillStyle = colour;
  c.strokeStyle = colour;
  c.beginPath();
  c.roundRect(0.5, 0.5, s - 1, s - 1, s > 16 ? 4 : 2.5);
  const quiet = look.state === "healthy";
  const outlined = look.state === "none" || look.state === "pending" || look.state === "missing";
  if (look.state === "none") {
    c.globalAlpha = opaque * 0.6;
    c.stroke();
  } else if (look.stale) {
    c.globalAlpha = opaque * 0.3;
    c.fill();
    c.globalAlpha = opaque * 0.8;
    c.stroke();
  } else if (quiet) {
    c.globalAlpha = opaque * 0.28;
    c.fill();
    c.globalAlpha = opaque * 0.6;
    c.stroke();
  } else if (outlined) {
    c.globalAlpha = opaque * 0.14;
    c.fill();
    c.globalAlpha = opaque;
    c.lineWidth = 1.4;
    if (look.state === "missing") c.setLineDash([1.5, 1.8]);
    else c.setLineDash([3, 2]);
    c.stroke();
    c.setLineDash([]);
  } else if (value !== undefined) {
    c.globalAlpha = opaque * ([0.14, 0.32, 0.5, 0.68, 0.84, 1][Number(value)] ?? 1);
    c.fill();
    c.globalAlpha = opaque * 0.7;
    c.stroke();
  } else c.fill();
  c.globalAlpha = opaque;
  if (look.stale) {
    c.save();
    c.clip();
    c.strokeStyle = token("text-dim");
    c.globalAlpha = opaque * 0.55;
    c.lineWidth = 1;
    for (let x = -s; x < s; x += s > 16 ? 5 : 4) {
      c.beginPath();
      c.moveTo(x, s);
      c.lineTo(x + s, 0);
      c.stroke();
    }
    c.restore();
    c.globalAlpha = opaque;
  }
  // The glyph: no state is told by its colour alone.
  const r = s * 0.22;
  const ink = look.stale || outlined ? colour : paper;
  c.strokeStyle = ink;
  c.fillStyle = ink;
  c.lineWidth = s > 16 ? 2 : 1.5;
  c.lineCap = "round";
  const line = (...points: [number, number][]) => {
    c.beginPath();
    points.forEach(([x, y], i) => {
      if (i === 0) c.moveTo(mid + x * r, mid + y * r);
      else c.lineTo(mid + x * r, mid + y * r);
    });
    c.stroke();
  };
  switch (look.state) {
    case "degraded":
      line([-1, -1], [1, 1]);
      line([1, -1], [-1, 1]);
      break;
    case "failed":
      line([0, -1.4], [0, 0.3]);
      line([0, 1.4], [0, 1.41]);
      break;
    case "drifted":
      line([-1.2, -0.5], [1.2, -0.5]);
      line([-1.2, 0.6], [1.2, 0.6]);
      line([0.6, -1.4], [-0.6, 1.5]);
      break;
    case "pending":
      for (const x of [-1.2, 0, 1.2]) line([x, 0], [x + 0.01, 0]);
      break;
    case "progressing":
      c.beginPath();
      c.arc(mid, mid, r * 1.2, -Math.PI / 2, Math.PI);
      c.stroke();
      break;
    case "suspended":
      line([-0.7, -1.1], [-0.7, 1.1]);
      line([0.7, -1.1], [0.7, 1.1]);
      break;
    case "missing":
      c.beginPath();
      c.arc(mid, mid, r * 0.8, 0, Math.PI * 2);
      c.stroke();
      break;
    default:
      if (value !== undefined || look.state === "unknown") {
        c.fillStyle = value !== undefined && Number(value) < 3 ? token("text") : ink;
        c.font = `600 ${Math.round(s * 0.62)}px ${token("font")}`;
        c.textAlign = "center";
        c.textBaseline = "middle";
        c.fillText(value !== undefined ? ("ABCDEF"[Number(value)] ?? "") : "?", mid, mid + 0.5);
      }
  }
  c.globalAlpha = 1;
}

/** Pictures of looks, of one theme and size. */
export class Sprites {
  private readonly known = new Map<string, HTMLCanvasElement>();
  readonly edge: number;
  private readonly ratio: number;
  private readonly token: Token;
  constructor(edge: number, ratio: number, token: Token) {
    this.edge = edge;
    this.ratio = ratio;
    this.token = token;
  }
  of(look: Look): HTMLCanvasElement {
    const key = `${look.state} ${look.stale} ${look.dimmed}`;
    let picture = this.known.get(key);
    if (picture === undefined) {
      picture = document.createElement("canvas");
      picture.width = Math.ceil(this.edge * this.ratio);
      picture.height = picture.width;
      const c = picture.getContext("2d");
      if (c !== null) {
        c.scale(this.ratio, this.ratio);
        paint(c, look, this.edge, this.token);
      }
      this.known.set(key, picture);
    }
    return picture;
  }
}

/** Draws the cells of one leaf onto its canvas. */
export function drawLeaf(
  canvas: HTMLCanvasElement,
  cells: readonly number[],
  columns: number,
  lookOf: (at: number) => Look,
  sprites: Sprites,
  ratio: number,
  selected: (at: number) => boolean,
  accent: string,
): void {
  const edge = sprites.edge;
  const rows = Math.ceil(cells.length / columns);
  canvas.width = Math.ceil(Math.min(columns, cells.length) * edge * ratio);
  canvas.height = Math.ceil(rows * edge * ratio);
  const c = canvas.getContext("2d");
  if (c === null) return;
  c.scale(ratio, ratio);
  cells.forEach((at, i) => {
    const x = (i % columns) * edge;
    const y = Math.floor(i / columns) * edge;
    c.drawImage(sprites.of(lookOf(at)), x, y, edge, edge);
    if (selected(at)) {
      c.strokeStyle = accent;
      c.lineWidth = 2;
      c.strokeRect(x, y, edge - gap, edge - gap);
    }
  });
}
