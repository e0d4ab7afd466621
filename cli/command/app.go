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
		newAppExplain(s), newAppPlan(s), newAppDiff(s), newAppSync(s), newAppCancel(s), newAppWait(s), newAppRefresh(s),
		newAppHistory(s), newAppRollback(s), newAppUnpin(s), newAppConfirmDeletion(s),
		newAppLogs(s), newAppExec(s), newAppEvents(s), newAppTree(s), newAppResources(s), newAppResource(s), newAppDeleteResource(s), newAppManifests(s), newAppParameters(s), newAppActions(s))
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
	var which appSelection
	c := &cobra.Command{
		Use: "refresh NAME… | -l SELECTOR", Short: "Look at Git and the cluster now",
		Long: `Look at Git and the cluster now. Applications are named, or chosen with -l, --filter,
--project and -c; several are one job of the hub, whose items say what was refused.`,
		Example: `  hawser app refresh shop
  hawser app refresh --filter 'env:prod -health:healthy'`,
		Args: which.args,
		RunE: s.run(func(c *call) error {
			names, err := c.chosen(which)
			if err != nil {
				return err
			}
			return c.refreshMany(names, hard)
		}),
	}
	which.register(c)
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

// operationInList is "" for what has changed nothing and is over.
func operationInList(op *model.OperationInfo) string {
	if op != nil && op.Spec.DryRun && op.Phase.Terminal() {
		return ""
	}
	return operationText(op)
}

func operationText(op *model.OperationInfo) string {
	if op == nil {
		return ""
	}
	return operationKind(*op) + " " + string(op.Phase)
}
