/** The anchor, beside the name. */
export function Logo({ size = 18 }: { size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 32 32"
      fill="none"
      stroke="currentColor"
      strokeWidth="3"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <circle cx="16" cy="6.500" r="3.300" />
      <path d="M16 10v18M9.500 14.500h13M4 19.500c.8 5.400 5.800 8.500 12 8.500s11.200-3.100 12-8.500" />
    </svg>
  );
}
