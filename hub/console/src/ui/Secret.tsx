import { Button } from "@mantine/core";
import { useT } from "../i18n";
import { CopyButton } from "./CopyButton";
import layout from "./layout.module.css";

/** A secret that is shown once: to be copied now, and gone when it is put away. */
export function Secret({ value, onDone }: { value: string; onDone: () => void }) {
  const t = useT();
  return (
    <section className={layout.form} aria-label={t("ui.secret.title")} role="status">
      <strong>{t("ui.secret.title")}</strong>
      <div className={layout.secret}>
        <code>{value}</code>
        <CopyButton value={value} name={t("ui.secret.name")} />
      </div>
      <p className={layout.help}>{t("ui.secret.once")}</p>
      <div>
        <Button variant="default" onClick={onDone}>
          {t("ui.secret.done")}
        </Button>
      </div>
    </section>
  );
}
