import { createTheme, type MantineColorsTuple } from "@mantine/core";

const accent: MantineColorsTuple = [
  "#eaf2fc",
  "#d3e3f7",
  "#a5c6ee",
  "#74a7e6",
  "#4d8ddf",
  "#357ddb",
  "#2775da",
  "#1a5fb4",
  "#1254a0",
  "#0b478b",
];

/** What is dangerous. White is read on its buttons, which are 7 in the light scheme and 6 in the dark one. */
const red: MantineColorsTuple = [
  "#fdeeee",
  "#fad7d6",
  "#f5b0ac",
  "#f08d86",
  "#ec7a72",
  "#dc4a44",
  "#c9302f",
  "#b3261e",
  "#982028",
  "#7f1a20",
];

/** Greys of Mantine's dark scheme, from text to ground: those of theme.css. */
const dark: MantineColorsTuple = [
  "#e6e9ef",
  "#c3c9d4",
  "#9aa3b2",
  "#6b7482",
  "#333c49",
  "#262d38",
  "#151b23",
  "#0d1117",
  "#0a0d12",
  "#06080b",
];

/** Look of all components: dense, calm, one accent. */
export const theme = createTheme({
  colors: { accent, red, dark },
  primaryColor: "accent",
  primaryShade: { light: 7, dark: 6 },
  fontFamily: "var(--hw-font)",
  fontFamilyMonospace: "var(--hw-mono)",
  fontSizes: { xs: "12px", sm: "13px", md: "14px", lg: "16px", xl: "20px" },
  lineHeights: { xs: "16px", sm: "18px", md: "20px", lg: "24px", xl: "28px" },
  spacing: { xs: "8px", sm: "12px", md: "16px", lg: "24px", xl: "32px" },
  radius: { xs: "3px", sm: "4px", md: "6px", lg: "8px", xl: "12px" },
  defaultRadius: "sm",
  breakpoints: { xs: "30em", sm: "40em", md: "64em", lg: "90em", xl: "120em" },
  headings: {
    fontWeight: "600",
    sizes: {
      h1: { fontSize: "20px", lineHeight: "28px" },
      h2: { fontSize: "16px", lineHeight: "24px" },
      h3: { fontSize: "14px", lineHeight: "20px" },
    },
  },
  respectReducedMotion: true,
  cursorType: "pointer",
  components: {
    Button: { defaultProps: { size: "xs" } },
    ActionIcon: { defaultProps: { variant: "subtle", color: "gray", size: 28 } },
    TextInput: { defaultProps: { size: "xs" } },
    PasswordInput: { defaultProps: { size: "xs" } },
    Textarea: { defaultProps: { size: "xs" } },
    Select: { defaultProps: { size: "xs" } },
    NativeSelect: { defaultProps: { size: "xs" } },
    MultiSelect: { defaultProps: { size: "xs" } },
    NumberInput: { defaultProps: { size: "xs" } },
    Checkbox: { defaultProps: { size: "xs" } },
    Radio: { defaultProps: { size: "xs" } },
    Switch: { defaultProps: { size: "xs" } },
    SegmentedControl: { defaultProps: { size: "xs" } },
    Menu: { defaultProps: { shadow: "md", transitionProps: { duration: 80 } } },
    Modal: { defaultProps: { transitionProps: { duration: 100 }, overlayProps: { backgroundOpacity: 0.35 } } },
    Tooltip: { defaultProps: { openDelay: 300, events: { hover: true, focus: true, touch: true } } },
  },
});
