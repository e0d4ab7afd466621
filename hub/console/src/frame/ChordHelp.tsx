import { Modal, Switch } from "@mantine/core";
import { useT } from "../i18n";
import { printed, setChordsOn, useChords, useChordsOn } from "../ui/chords";
import classes from "./ChordHelp.module.css";

/** All keys that do something on this page, and the switch that turns single keys off. */
export default function ChordHelp({ onClose }: { onClose: () => void }) {
  const t = useT();
  const chords = useChords();
  const on = useChordsOn();
  const groups = new Map<string, Map<string, string>>();
  for (const c of chords) {
    if (c.label === "" || c.keys === "") continue;
    const group = groups.get(c.group) ?? new Map<string, string>();
    group.set(c.keys, c.label);
    groups.set(c.group, group);
  }
  return (
    <Modal
      opened
      onClose={onClose}
      title={t("frame.help.chords")}
      size="lg"
      closeButtonProps={{ "aria-label": t("ui.close") }}
    >
      <Switch
        checked={on}
        onChange={(e) => setChordsOn(e.currentTarget.checked)}
        label={t("frame.chords.on")}
        mb="md"
      />
      <div className={classes.groups}>
        {[...groups].map(([group, lines]) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {[...lines].map(([keys, label]) => (
                <div key={keys} className={classes.line}>
                  <dt>{label}</dt>
                  <dd>
                    {printed(keys).map((k, i) => (
                      // biome-ignore lint/suspicious/noArrayIndexKey: the same key may be pressed twice
                      <kbd key={i}>{k}</kbd>
                    ))}
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Modal>
  );
}
