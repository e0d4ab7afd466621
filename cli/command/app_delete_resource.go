package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// mostDeleted is how many objects one command deletes.
const mostDeleted = 100

func newAppDeleteResource(s *session) *cobra.Command {
	var (
		object                   objectFlags
		wait                     waitFlags
		propagation, uid, reason string
		force, all, orphan       bool
	)
	c := &cobra.Command{
		Use:   "delete-resource NAME --kind KIND",
		Short: "Delete single objects of an application in its cluster",
		Long: `Delete single objects of an application in its cluster. What the source has of
them is made again by the next sync, and at once when the application heals
itself; to be rid of it for good take it out of the source and prune.

An object is deleted by its uid: one of the same name that is made meanwhile
stays.`,
		Example: `  hawser app delete-resource shop --kind Pod --resource-name web-5d9c-x2x7k
  hawser app delete-resource shop --kind Job --group batch --namespace web --all --propagation background`,
		Args: exactArgs("NAME"),
		PreRunE: func(c *cobra.Command, _ []string) error {
			switch {
			case object.kind == "":
				return fault.New(fault.Invalid, "usage", "which object is meant is not said").WithFix("add --kind, and --resource-name when there are several")
			case all && uid != "":
				return fault.New(fault.Invalid, "usage", "--uid is one object's, and --all means several")
			case orphan && propagation != "" && propagation != "orphan":
				return fault.New(fault.Invalid, "usage", "--orphan and --propagation %q are two things", propagation)
			case !slices.Contains([]string{"", "foreground", "background", "orphan"}, propagation):
				return fault.New(fault.Invalid, "usage", "--propagation %q is none of foreground, background, orphan", propagation)
			}
			if orphan {
				propagation = "orphan"
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			keys, err := object.choose(c, c.args[0])
			if err != nil {
				return err
			}
			switch {
			case len(keys) > 1 && !all:
				return exitWith(ExitNotFound, fault.New(fault.Invalid, "object_ambiguous", "%d objects are meant: %s, %s, …", len(keys), keys[0], keys[1]).
					WithFix("choose with --group, --namespace and --resource-name, or delete them all with --all"))
			case len(keys) > mostDeleted:
				return fault.New(fault.Invalid, "usage", "%d objects are meant; at most %d are deleted at once", len(keys), mostDeleted).WithFix("choose with --namespace and --resource-name")
			}
			// Which objects they are is asked before the question, and deleted is what was meant.
			uids := make([]string, len(keys))
			for i, k := range keys {
				if uids[i] = uid; uid == "" {
					if uids[i], err = c.uidOf(c.args[0], k); err != nil {
						return err
					}
				}
			}
			if !s.yes && s.attended() {
				for _, k := range keys {
					fmt.Fprintf(s.Err, "  %s\n", output.Clean(k.String()))
				}
			}
			if err := s.ask(consent{text: fmt.Sprintf("This will delete %d object(s) of %q in its cluster. Continue?", len(keys), c.args[0]), cancelled: "nothing was deleted"}); err != nil {
				return err
			}
			ctx, cancel := c.limit(c.ctx, waitForOperation)
			defer cancel()
			for i, k := range keys {
				query := url.Values{"group": {k.Group}, "kind": {k.Kind}, "namespace": {k.Namespace}, "resourceName": {k.Name}, "uid": {uids[i]}}
				for name, value := range map[string]string{"propagation": propagation, "reason": reason} {
					if value != "" {
						query.Set(name, value)
					}
				}
				if force {
					query.Set("force", "true")
				}
				// An application does one thing after the other: the last alone need not be
				// waited for.
				if err := c.deleteOne(ctx, c.args[0], k, query, wait.waits() || i < len(keys)-1); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	object.register(c.Flags())
	c.Flags().StringVar(&uid, "uid", "", "delete it only if it has this uid")
	c.Flags().StringVar(&propagation, "propagation", "", "what becomes of what it owns: foreground (default), background or orphan")
	c.Flags().BoolVar(&orphan, "orphan", false, "as --propagation orphan: leave what it owns")
	c.Flags().BoolVar(&force, "force", false, "do not give it time to end")
	c.Flags().BoolVar(&all, "all", false, "all objects that are meant, not one")
	c.Flags().StringVar(&reason, "reason", "", "why")
	wait.register(c)
	return s.asks(c)
}

// uidOf asks the cluster for the uid of an object.
func (c *call) uidOf(app string, k model.ObjectKey) (string, error) {
	query := url.Values{"group": {k.Group}, "kind": {k.Kind}, "namespace": {k.Namespace}, "resourceName": {k.Name}}
	var raw json.RawMessage
	if err := c.get(appPath(app)+"/resource?"+query.Encode(), &raw); err != nil {
		return "", err
	}
	var live struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	if json.Unmarshal(raw, &live) != nil || live.Metadata.UID == "" {
		return "", fault.New(fault.Internal, "answer_invalid", "the hub did not say which object %s is", k)
	}
	return live.Metadata.UID, nil
}

func (c *call) deleteOne(ctx context.Context, app string, k model.ObjectKey, query url.Values, wait bool) error {
	var op model.OperationInfo
	header := http.Header{"Idempotency-Key": {uuid.NewString()}}
	send := func() error {
		return c.api.DoWith(ctx, http.MethodDelete, appPath(app)+"/resource?"+query.Encode(), header, nil, &op)
	}
	err := send()
	if fault.HasCode(err, "hub_unreachable") || fault.HasCode(err, "commit_unknown") {
		err = send()
	}
	switch {
	case err != nil:
		return err
	case !wait:
		c.note("deletion of %s accepted as operation %s", k, op.ID)
		return c.printOperation(op)
	}
	return c.conclude(ctx, op)
}
