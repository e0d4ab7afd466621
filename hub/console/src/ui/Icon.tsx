// Line icons of 16 pixels, drawn here so that no set of icons is shipped.
const shapes = {
  fleet: "M2 2.5h4v4H2zM10 2.500h4v4h-4zM2 9.500h4v4H2zM10 9.500h4v4h-4z",
  clusters: "M8 1.500 14 4.700v6.600L8 14.500 2 11.300V4.700zM2.200 4.800 8 8l5.800-3.200M8 8v6.300",
  applications: "M2 3.500h12v9H2zM2 6.500h12M4.200 5h.01M6.200 5h.01",
  projects: "M1.500 4v8.500h13V5.500H8L6.500 4z",
  repositories:
    "M4.500 4.500v7M4.500 4.500a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3zM4.500 14.500a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3zM11.500 6.500a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3zM11.500 6.500c0 3-3 3-7 3",
  jobs: "M2 4h1M2 8h1M2 12h1M5.500 4H14M5.500 8H14M5.500 12H14",
  audit: "M3.500 1.500h6l3 3v10h-9zM9.500 1.500v3h3M5.500 8h5M5.500 11h5",
  settings:
    "M2 4.500h6M12 4.500h2M10 6.300a1.800 1.800 0 1 0 0-3.600 1.800 1.800 0 0 0 0 3.600zM2 11.500h2M8 11.500h6M6 13.300a1.800 1.800 0 1 0 0-3.600 1.800 1.800 0 0 0 0 3.600z",
  search: "M7 11.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9zM10.300 10.300 14 14",
  help: "M8 14.500a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zM6.200 6.200c0-1 .8-1.700 1.800-1.700s1.800.7 1.800 1.700c0 1.300-1.800 1.300-1.800 2.600M8 11.300h.01",
  theme: "M13.5 9.500A6 6 0 1 1 6.500 2.500a5 5 0 0 0 7 7z",
  user: "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.500 14.500c.5-3 2.700-4.500 5.500-4.500s5 1.500 5.500 4.500",
  menu: "M2 4h12M2 8h12M2 12h12",
  collapse: "M13.500 2.500v11M9.500 4.500 6 8l3.500 3.500",
  expand: "M2.500 2.500v11M6.500 4.500 10 8l-3.500 3.500",
  close: "M3.500 3.500l9 9M12.500 3.500l-9 9",
  copy: "M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3",
  check: "M2.500 8.500 6.500 12.500 13.500 4",
  chevron: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  left: "M10 4 6 8l4 4",
  up: "M4 10l4-4 4 4",
  minus: "M2.500 8h11",
  fit: "M2.500 6V2.500H6M10 2.500h3.500V6M13.500 10v3.500H10M6 13.500H2.500V10",
  external: "M6.500 3h-4v10.500H13v-4M9 2.500h4.500V7M13.500 2.500 7.500 8.500",
  plus: "M8 2.500v11M2.500 8h11",
  more: "M3 8h.01M8 8h.01M13 8h.01",
  columns: "M2 2.500h12v11H2zM6 2.500v11M10 2.500v11",
  filter: "M2 3h12l-4.500 5.500v4l-3 1v-5z",
  refresh: "M13.500 8a5.500 5.500 0 1 1-1.800-4.100L13.500 5.500M13.500 2v3.500H10",
  play: "M4.500 2.500 12.500 8l-8 5.500z",
  pause: "M5 3v10M11 3v10",
  trash: "M2.500 4.500h11M6 4.500v-2h4v2M4 4.500l.7 9h6.600l.7-9M6.700 7v4M9.300 7v4",
  star: "M8 1.800l1.900 4 4.300.5-3.200 3 .9 4.300L8 11.500l-3.900 2.100.9-4.300-3.200-3 4.300-.5z",
  terminal: "M1.500 2.500h13v11h-13zM4 6l2.500 2L4 10M8 10.500h3.500",
  download: "M8 2v8M4.500 7 8 10.500 11.500 7M2.500 13.500h11",
  warning: "M8 2 14.500 13.500h-13zM8 6.500v3.200M8 11.600h.01",
  lock: "M3.500 7.500h9v6.500h-9zM5.500 7.500v-2a2.500 2.500 0 0 1 5 0v2",
  pin: "M6 2h4l-.5 4.500L12 9H4l2.500-2.500zM8 9v5",
  history: "M2.500 8A5.500 5.500 0 1 0 4.300 3.900L2.500 5.500M2.500 2v3.500H6M8 5v3.300l2.200 1.300",
  logs: "M2 3.500h12M2 6.500h8M2 9.500h12M2 12.500h6",
  tree: "M1.500 6h4v4h-4zM10.500 2h4v4h-4zM10.500 10h4v4h-4zM5.500 8H8M8 4v8M8 4h2.500M8 12h2.500",
  logout: "M6.500 2.500h-4v11h4M10 4.500 13.500 8 10 11.500M13.500 8H6",
} as const;

export type IconName = keyof typeof shapes;

/** An icon beside words, or in a button that has a name of its own: nothing for readers. */
export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth={1.4}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={shapes[name]} />
    </svg>
  );
}
