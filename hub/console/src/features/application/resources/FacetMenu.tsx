import { Button, Menu } from "@mantine/core";
import { useT } from "../../../i18n";
import { Icon } from "../../../ui/Icon";
import { MiddleTruncate } from "../../../ui/PlainText";
import classes from "./Resources.module.css";

/** Words of one property with their counts, of which several can be chosen. */
export function FacetMenu({
  title,
  words,
  chosen,
  label,
  onChange,
}: {
  title: string;
  words: readonly (readonly [string, number])[];
  chosen: readonly string[];
  label?: (word: string) => string;
  onChange: (chosen: string[]) => void;
}) {
  const t = useT();
  // What was chosen stays to be taken back, also when nothing is like that any more.
  const gone = chosen.filter((c) => !words.some(([w]) => w === c)).map((c) => [c, 0] as const);
  return (
    <Menu position="bottom-start" closeOnItemClick={false}>
      <Menu.Target>
        <Button
          variant={chosen.length > 0 ? "light" : "default"}
          size="compact-sm"
          rightSection={<Icon name="chevron" size={12} />}
        >
          {chosen.length > 0 ? t("application.resources.chosen", { title, n: chosen.length }) : title}
        </Button>
      </Menu.Target>
      <Menu.Dropdown className={classes.menu}>
        {[...gone, ...words].map(([word, n]) => {
          const on = chosen.includes(word);
          return (
            <Menu.Item
              key={word}
              role="menuitemcheckbox"
              aria-checked={on}
              leftSection={<span className={classes.tick}>{on && <Icon name="check" size={14} />}</span>}
              rightSection={<span className={classes.dim}>{n}</span>}
              onClick={() => onChange(on ? chosen.filter((c) => c !== word) : [...chosen, word])}
            >
              {label?.(word) ?? <MiddleTruncate text={word} />}
            </Menu.Item>
          );
        })}
      </Menu.Dropdown>
    </Menu>
  );
}
