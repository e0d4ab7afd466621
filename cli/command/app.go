package command

import (
	"context"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/shared/model"
)

func newApp(s *session) *cobra.Command {
	return group("app", "Applications",
		newAppList(s), newAppGet(s), newAppDescribe(s), newAppCreate(s), newAppSet(s), newAppUnset(s), newAppEdit(s), newAppPatch(s), newAppDelete(s),
		newAppPlan(s), newAppDiff(s), newAppSync(s), newAppCancel(s), newAppWait(s), newAppRefresh(s),
		newAppHistory(s), newAppRollback(s), newAppUnpin(s), newAppConfirmDeletion(s),
		newAppLogs(s), newAppExec(s), newAppEvents(s), newAppTree(s), newAppResources(s), newAppResource(s), newAppManifests(s), newAppParameters(s), newAppActions(s))
}

func appPath(name string) string {
	return "/applications/" + url.PathEscape(strings.TrimPrefix(name, "app/"))
}

func getApp(ctx context.Context, api *client.Client, name string) (model.AppView, error) {
	var v model.AppView
	err := api.Get(ctx, appPath(name), &v)
	return v, err
}

func newAppRefresh(s *session) *cobra.Command {
	var hard bool
	c := &cobra.Command{
		Use: "refresh NAME", Short: "Look at Git and the cluster now", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			if err := c.refresh(c.args[0], hard); err != nil {
				return err
			}
			c.note("refresh of %q accepted", c.args[0])
			return nil
		}),
	}
	c.Flags().BoolVar(&hard, "hard", false, "render although nothing changed")
	return c
}

func syncText(v model.AppView) string {
	if v.Deleting {
		return "Deleting"
	}
	return facetText(v.Sync)
}

func facetText(f model.SyncFacet) string {
	if f.Status == "" {
		return string(model.SyncUnknown)
	}
	if f.Reason != "" {
		return string(f.Status) + " (" + string(f.Reason) + ")"
	}
	return string(f.Status)
}

// notCurrent reports whether what is shown of an application may be over.
func notCurrent(v model.AppView) bool {
	return v.Freshness == model.FreshStale || v.Freshness == model.FreshNever
}

// healthText marks what is not known to be true now.
func healthText(v model.AppView) string {
	h := string(v.Health.Status)
	if h == "" {
		h = string(model.HealthUnknown)
	}
	if notCurrent(v) {
		h += " (" + string(v.Freshness) + ")"
	}
	return h
}

func operationText(op *model.OperationInfo) string {
	if op == nil {
		return ""
	}
	return operationKind(*op) + " " + string(op.Phase)
}
