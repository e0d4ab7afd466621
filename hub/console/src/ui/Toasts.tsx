import { useNotifications } from "@mantine/notifications";
import { lazy, Suspense, useState } from "react";

const Corner = lazy(() => import("./ToastCorner"));

/** Where toasts appear; what shows them is loaded with the first. */
export function Toasts() {
  const { notifications } = useNotifications();
  const [needed, setNeeded] = useState(false);
  if (notifications.length > 0 && !needed) setNeeded(true);
  return (
    needed && (
      <Suspense>
        <Corner />
      </Suspense>
    )
  );
}
