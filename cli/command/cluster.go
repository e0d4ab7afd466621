package command

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newCluster(s *session) *cobra.Command {
	return group("cluster", "Clusters and their agents",
		newClusterEnroll(s), newClusterList(s), newClusterGet(s), newClusterAlias(s), newClusterRevoke(s), newClusterDelete(s))
}

// enrolment is the answer to a request for a token.
type enrolment struct {
	ID        string    `json:"id"`
	Token     string    `json:"token"`
	Cluster   string    `json:"cluster"`
	ExpiresAt time.Time `json:"expiresAt"`
	CAHash    string    `json:"caHash"`
	Hub       string    `json:"hub"`
	Command   string    `json:"command"`
}

func newClusterEnroll(s *session) *cobra.Command {
	var (
		labels  map[string]string
		project string
		ttl     time.Duration
	)
	c := &cobra.Command{
		Use:   "enroll NAME",
		Short: "Mint a one-time token and print the command that enrols a cluster",
		Args:  exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			var got enrolment
			in := map[string]any{"cluster": args[0], "labels": labels, "project": project, "ttl": ttl.String()}
			if err := api.Do(c.Context(), http.MethodPost, "/enrolment-tokens", in, &got); err != nil {
				return err
			}
			switch f {
			case output.JSON, output.YAML:
				return output.Document(s.Out, f, got)
			case output.Name:
				fmt.Fprintln(s.Out, got.Token)
				return nil
			}
			fmt.Fprintf(s.Err, "Run this where the cluster %q is reachable (single use, expires in %s, needs egress to %s):\n\n",
				got.Cluster, time.Until(got.ExpiresAt).Round(time.Minute), got.Hub)
			fmt.Fprintf(s.Out, "%s\n", got.Command)
			return nil
		},
	}
	c.Flags().StringToStringVarP(&labels, "label", "l", nil, "labels of the cluster, key=value")
	c.Flags().StringVarP(&project, "project", "p", "", "project that the cluster belongs to")
	c.Flags().DurationVar(&ttl, "ttl", time.Hour, "how long the token is valid")
	return c
}

func newClusterList(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "All clusters", Args: exactArgs(),
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			var got struct {
				Items []model.Cluster `json:"items"`
				AsOf  time.Time       `json:"asOf"`
			}
			if err := api.Get(c.Context(), "/clusters", &got); err != nil {
				return err
			}
			switch f {
			case output.JSON, output.YAML:
				return output.Document(s.Out, f, listDocument("ClusterList", got.Items, got.AsOf))
			case output.Name:
				for _, x := range got.Items {
					fmt.Fprintln(s.Out, "cluster/"+output.Clean(x.Name))
				}
				return nil
			}
			now := s.now()
			rows := make([][]string, 0, len(got.Items))
			for _, x := range got.Items {
				rows = append(rows, []string{
					x.Name, connection(x), output.Age(now, x.LastSeen), strconv.Itoa(x.Applications),
					x.KubeVersion, x.AgentVersion, strconv.Itoa(x.Nodes), labelText(x.Labels), strings.Join(x.Aliases, ","), string(x.ID),
				})
			}
			return output.Rows(s.Out, f, []output.Column{
				{Title: "NAME"}, {Title: "STATE"}, {Title: "SEEN"}, {Title: "APPS"}, {Title: "KUBERNETES"}, {Title: "AGENT"},
				{Title: "NODES", Wide: true}, {Title: "LABELS", Wide: true}, {Title: "ALIASES", Wide: true}, {Title: "ID", Wide: true},
			}, rows)
		},
	}
}

func connection(c model.Cluster) string {
	switch {
	case c.Revoked:
		return "Revoked"
	case c.Connected:
		return "Connected"
	case c.LastSeen == nil:
		return "NeverSeen"
	}
	return "Offline"
}

func labelText(labels map[string]string) string {
	parts := make([]string, 0, len(labels))
	for _, k := range sortedKeys(labels) {
		parts = append(parts, k+"="+labels[k])
	}
	return strings.Join(parts, ",")
}

func newClusterGet(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Short: "One cluster", Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			var x model.Cluster
			if err := api.Get(c.Context(), "/clusters/"+url.PathEscape(args[0]), &x); err != nil {
				return err
			}
			switch f {
			case output.JSON, output.YAML:
				return output.Document(s.Out, f, x)
			case output.Name:
				fmt.Fprintln(s.Out, "cluster/"+output.Clean(x.Name))
				return nil
			}
			now := s.now()
			fields := [][2]string{
				{"Name", x.Name}, {"ID", string(x.ID)}, {"State", connection(x)}, {"Seen", output.Age(now, x.LastSeen)},
				{"Freshness", string(x.Freshness)}, {"Kubernetes", x.KubeVersion}, {"Agent", x.AgentVersion},
				{"Nodes", strconv.Itoa(x.Nodes)}, {"Namespaces", strconv.Itoa(x.Namespaces)},
				{"Applications", strconv.Itoa(x.Applications)}, {"Labels", labelText(x.Labels)},
				{"Aliases", strings.Join(x.Aliases, ", ")},
			}
			if x.CertNotAfter != nil {
				fields = append(fields, [2]string{"Certificate", "until " + x.CertNotAfter.Format(time.RFC3339)})
			}
			for _, cond := range x.Conditions {
				fields = append(fields, [2]string{"Condition", cond})
			}
			for _, u := range x.UnknownApps {
				fields = append(fields, [2]string{"Unknown app", fmt.Sprintf("%s (project %s, generation %d): held by the agent, not known here; it is left alone", u.Name, u.Project, u.Generation)})
			}
			return s.describe(fields)
		},
	}
}

func newClusterAlias(s *session) *cobra.Command {
	var remove bool
	c := &cobra.Command{
		Use:   "alias NAME SERVER",
		Short: "Let a server URL in Applications mean this cluster",
		Long: `Let a server URL in Applications mean this cluster, so that Applications that name
their destination by server work unchanged:

  hawser cluster alias eu-prod https://kubernetes.default.svc`,
		Args: exactArgs("NAME", "SERVER"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			path := "/clusters/" + url.PathEscape(args[0])
			var x model.Cluster
			if err := api.Get(c.Context(), path, &x); err != nil {
				return err
			}
			var aliases []string
			for _, a := range x.Aliases {
				if a != args[1] {
					aliases = append(aliases, a)
				}
			}
			if !remove {
				aliases = append(aliases, args[1])
			} else if len(aliases) == len(x.Aliases) {
				return fault.New(fault.NotFound, "alias_unknown", "%s has no alias %s", args[0], args[1])
			}
			return api.Do(c.Context(), http.MethodPut, path+"/aliases", map[string]any{"aliases": aliases}, nil)
		},
	}
	c.Flags().BoolVar(&remove, "remove", false, "take the alias away")
	return c
}

func newClusterRevoke(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "End the agent's access; its cluster stays as it is", Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			return api.Do(c.Context(), http.MethodPost, "/clusters/"+url.PathEscape(args[0])+"/revoke", nil, nil)
		},
	}
}

func newClusterDelete(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Forget a cluster that no application points at; nothing in it is touched", Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			return api.Do(c.Context(), http.MethodDelete, "/clusters/"+url.PathEscape(args[0]), nil, nil)
		},
	}
}
