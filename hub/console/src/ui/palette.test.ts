import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { background, palette, type Scheme, type State, states } from "./palette";
import { theme } from "./theme";

type RGB = readonly [number, number, number];

const rgb = (hex: string): RGB =>
  [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16) / 255) as unknown as RGB;
const linear = (c: RGB) => c.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)) as unknown as RGB;
const luminance = (c: RGB) => {
  const [r, g, b] = linear(c);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a: string, b: string) => {
  const [x, y] = [luminance(rgb(a)), luminance(rgb(b))];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
};

// Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
const vision: Record<string, number[][]> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protan: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deutan: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritan: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

function lab(hex: string, matrix: number[][]): RGB {
  const c = linear(rgb(hex));
  const [r, g, b] = matrix.map((m) =>
    Math.min(1, Math.max(0, (m[0] ?? 0) * c[0] + (m[1] ?? 0) * c[1] + (m[2] ?? 0) * c[2])),
  );
  const dot = (x: number, y: number, z: number) => x * (r ?? 0) + y * (g ?? 0) + z * (b ?? 0);
  const f = (t: number) => (t > 216 / 24389 ? Math.cbrt(t) : (t * (24389 / 27) + 16) / 116);
  const x = f(dot(0.4124564, 0.3575761, 0.1804375) / 0.95047);
  const y = f(dot(0.2126729, 0.7151522, 0.072175));
  const z = f(dot(0.0193339, 0.119192, 0.9503041) / 1.08883);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** CIEDE2000 (Sharma, Wu and Dalal 2005). */
function deltaE([l1, a1, b1]: RGB, [l2, a2, b2]: RGB): number {
  const rad = Math.PI / 180;
  const c7 = ((Math.hypot(a1, b1) + Math.hypot(a2, b2)) / 2) ** 7;
  const g = 0.5 * (1 - Math.sqrt(c7 / (c7 + 25 ** 7)));
  const [p1, p2] = [a1 * (1 + g), a2 * (1 + g)];
  const [c1, c2] = [Math.hypot(p1, b1), Math.hypot(p2, b2)];
  const angle = (b: number, a: number) => (a === 0 && b === 0 ? 0 : (Math.atan2(b, a) / rad + 360) % 360);
  const [h1, h2] = [angle(b1, p1), angle(b2, p2)];
  const grey = c1 * c2 === 0;
  let dh = grey ? 0 : h2 - h1;
  if (dh > 180) dh -= 360;
  else if (dh < -180) dh += 360;
  const dH = 2 * Math.sqrt(c1 * c2) * Math.sin((dh / 2) * rad);
  const l = (l1 + l2) / 2;
  const c = (c1 + c2) / 2;
  const h = grey ? h1 + h2 : Math.abs(h1 - h2) <= 180 ? (h1 + h2) / 2 : (h1 + h2 + (h1 + h2 < 360 ? 360 : -360)) / 2;
  const t =
    1 -
    0.17 * Math.cos((h - 30) * rad) +
    0.24 * Math.cos(2 * h * rad) +
    0.32 * Math.cos((3 * h + 6) * rad) -
    0.2 * Math.cos((4 * h - 63) * rad);
  const sl = 1 + (0.015 * (l - 50) ** 2) / Math.sqrt(20 + (l - 50) ** 2);
  const sc = 1 + 0.045 * c;
  const sh = 1 + 0.015 * c * t;
  const rt = -2 * Math.sqrt(c ** 7 / (c ** 7 + 25 ** 7)) * Math.sin(60 * rad * Math.exp(-(((h - 275) / 25) ** 2)));
  const [x, y, z] = [(l2 - l1) / sl, (c2 - c1) / sc, dH / sh];
  return Math.sqrt(x * x + y * y + z * z + rt * y * z);
}

describe("distance of colours", () => {
  it.each([
    // Pairs of the paper's table.
    [[50, 2.6772, -79.7751], [50, 0, -82.7485], 2.0425],
    [[50, 2.5, 0], [73, 25, -18], 27.1492],
    [[22.7233, 20.0904, -46.694], [23.0331, 14.973, -42.5619], 2.0373],
    [[2.0776, 0.0795, -1.135], [0.9033, -0.0636, -0.5514], 0.9082],
  ] as [RGB, RGB, number][])("%j and %j", (a, b, d) => {
    expect(deltaE(a, b)).toBeCloseTo(d, 3);
  });
});

describe.each(["light", "dark"] as Scheme[])("the %s palette", (scheme) => {
  it.each(states)("%s can be read", (state) => {
    expect(contrast(palette[scheme][state], background[scheme])).toBeGreaterThanOrEqual(4.5);
  });
  // pending and missing have the hue of drifted on purpose: their shapes differ.
  const hues = states.filter((s): s is Exclude<State, "pending" | "missing"> => s !== "pending" && s !== "missing");
  const pairs = Object.keys(vision).flatMap((v) =>
    hues.flatMap((a, i) => hues.slice(i + 1).map((b) => [v, a, b] as const)),
  );
  it.each(pairs)("with %s vision %s is no %s", (v, a, b) => {
    const matrix = vision[v] ?? [];
    expect(deltaE(lab(palette[scheme][a], matrix), lab(palette[scheme][b], matrix))).toBeGreaterThanOrEqual(15);
  });
});

describe("theme.css", () => {
  const css = readFileSync("src/ui/theme.css", "utf8");
  const block = (selector: string) => css.slice(css.indexOf(`${selector} {`)).split("}")[0] ?? "";
  it.each(states)("has the measured colour of %s", (state) => {
    expect(block(":root").toLowerCase()).toContain(`--hw-${state}: ${palette.light[state].toLowerCase()};`);
    expect(block(':root[data-mantine-color-scheme="dark"]').toLowerCase()).toContain(
      `--hw-${state}: ${palette.dark[state].toLowerCase()};`,
    );
  });
  const token = (selector: string, name: string) =>
    new RegExp(`--hw-${name}: (#[0-9a-f]{6});`, "i").exec(block(selector))?.[1] ?? "";
  const themes: [string, string][] = [
    ["light", ":root"],
    ["dark", ':root[data-mantine-color-scheme="dark"]'],
  ];
  it.each(
    themes.flatMap(([n, s]) =>
      ["text", "text-dim", "accent"].flatMap((f) =>
        ["bg", "bg-raised", "bg-sunken", "bg-hover", "bg-selected"].map((b) => [n, f, b, s]),
      ),
    ),
  )("%s: %s can be read on %s", (_, fore, back, selector) => {
    expect(contrast(token(selector ?? "", fore ?? ""), token(selector ?? "", back ?? ""))).toBeGreaterThanOrEqual(4.5);
  });
});

describe("buttons that are filled", () => {
  const shades = theme.primaryShade as Record<Scheme, number>;
  it.each(["light", "dark"] as const)("have words that can be read in the %s scheme", (scheme) => {
    for (const name of ["accent", "red"] as const) {
      const filled = theme.colors?.[name]?.[shades[scheme]] ?? "";
      expect(contrast(filled, "#ffffff"), `${name} ${filled}`).toBeGreaterThanOrEqual(4.5);
    }
  });
});
