package command

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
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
		newClusterEnroll(s), newClusterEnrolment(s), newClusterList(s), newClusterGet(s), newClusterDescribe(s), newClusterDiagnose(s), newClusterWait(s), newClusterAlias(s), newClusterLabel(s), newClusterKubectl(s), newClusterKubeconfig(s), newClusterRevoke(s), newClusterAllow(s), newClusterDelete(s))
}

// enrolment is the answer to a request for a token.
type enrolment struct {
	ID        string    `json:"id"`
	Token     string    `json:"token"`
	Cluster   string    `json:"cluster"`
	ExpiresAt time.Time `json:"expiresAt"`
	CAHash    string    `json:"caHash"`
	Hub       string    `json:"hub"`
	Helm      string    `json:"helm"`
	Manifest  string    `json:"manifest"`
	Command   string    `json:"command"`
}

// install is what enrols the cluster, as one of the words of --with.
func (e enrolment) install(with string) (text, how string, err error) {
	switch with {
	case "helm":
		return e.Helm, "Run this where helm is set to the cluster %q", nil
	case "manifest":
		return e.Manifest, "Apply this to the cluster %q, with | kubectl apply -f -", nil
	case "program":
		return e.Command, "Run this where the cluster %q is reachable", nil
	}
	return "", "", fault.New(fault.Invalid, "flag_invalid", "%q is no way to enrol", with).WithField("--with").WithFound(with, "helm, manifest, program")
}

func newClusterEnroll(s *session) *cobra.Command {
	var (
		labels  map[string]string
		project string
		aliases []string
		ttl     time.Duration
		wait    bool
		noWait  bool
		with    string
		profile string
		watch   []string
	)
	c := &cobra.Command{
		Use:   "enroll NAME",
		Short: "Mint a one-time token and print the command that enrols a cluster",
		Long: `Mint a one-time token and print the command that enrols a cluster. At a terminal it
goes on and says when the token is redeemed, the agent connected and the first
inventory there; --no-wait ends after the command, --wait waits without a terminal
too. A cluster that is connected needs none: then it is asked, and --yes agrees.

The command is helm's and complete. --with manifest prints the same as YAML, for
clusters without Helm, --with program the command of an agent outside of the cluster.
--profile says what the agent may do there: curated (common kinds, without Secrets and
without rights to hand out rights), observe (nothing but looking), namespaced (the
namespaces of --watch-namespace alone) or cluster-admin.

  hawser cluster enroll prod-eu -l env=prod
  hawser cluster enroll prod-eu --with manifest | kubectl --context prod-eu apply -f -
  hawser cluster enroll shop --profile namespaced --watch-namespace shop`,
		Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			if _, _, err := (enrolment{}).install(with); err != nil {
				return err
			}
			if err := c.enrolAgain(c.args[0]); err != nil {
				return err
			}
			var got enrolment
			in := map[string]any{"cluster": c.args[0], "labels": labels, "project": project, "aliases": aliases, "ttl": ttl.String()}
			if profile != "" {
				in["profile"] = profile
			}
			if len(watch) > 0 {
				in["namespaces"] = watch
			}
			if err := c.api.Do(c.ctx, http.MethodPost, "/enrolment-tokens", in, &got); err != nil {
				return err
			}
			err := c.one(got, got.Token, func() error {
				text, how, err := got.install(with)
				if err != nil {
					return err
				}
				c.note(how+" (single use, expires in %s, needs egress to %s):",
					got.Cluster, got.ExpiresAt.Sub(c.now()).Round(time.Minute), got.Hub)
				fmt.Fprintln(c.Err)
				_, err = fmt.Fprintln(c.Out, strings.TrimSuffix(text, "\n"))
				return err
			})
			if err != nil || noWait || !(wait || (c.Terminal && c.format == output.Table)) {
				return err
			}
			return c.awaitEnrolment(got)
		}),
	}
	c.Flags().StringToStringVarP(&labels, "label", "l", nil, "labels of the cluster, key=value")
	c.Flags().StringVarP(&project, "project", "p", "", "project that the cluster belongs to")
	c.Flags().StringArrayVar(&aliases, "alias", nil, "server URL in Applications that is to mean the cluster; may be repeated")
	c.Flags().StringVar(&with, "with", "helm", "what to print: helm, manifest or program")
	c.Flags().StringVar(&profile, "profile", "", "rights of the agent: curated, observe, namespaced or cluster-admin (default: curated)")
	c.Flags().StringSliceVar(&watch, "watch-namespace", nil, "namespace of the profile namespaced; may be repeated")
	c.Flags().BoolVar(&wait, "wait", false, "wait until the cluster reports (default: at a terminal)")
	c.Flags().BoolVar(&noWait, "no-wait", false, "print the command and end")
	c.MarkFlagsMutuallyExclusive("wait", "no-wait")
	c.Flags().DurationVar(&ttl, "ttl", time.Hour, "how long the token is valid")
	return s.asks(c)
}

// enrolAgain asks before a token is minted for a cluster that is connected. What
// cannot be looked at does not keep a cluster from being enrolled.
func (c *call) enrolAgain(name string) error {
	var x model.Cluster
	if err := c.api.Get(c.ctx, clusterPath(name), &x); err != nil || !x.Connected || x.Name != name {
		return nil
	}
	if c.attended() && !c.yes {
		c.warn("cluster %q is enrolled already, and connected", name)
	}
	return c.ask(consent{
		text:  fmt.Sprintf("Enrol %q again? An agent that redeems the token takes the place of the one that is connected.", name),
		alone: fault.New(fault.Precondition, "cluster_connected", "cluster %q is enrolled already, and connected: nobody is there to ask whether another agent may take its place", name),
	})
}

func clusterPath(name string) string { return "/clusters/" + url.PathEscape(name) }

func newClusterList(s *session) *cobra.Command {
	clusters := listing[model.Cluster]{
		kind:   "ClusterList",
		name:   func(x model.Cluster) string { return "cluster/" + x.Name },
		by:     []string{"project", "selector", "filter"},
		labels: func(x model.Cluster) map[string]string { return x.Labels },
		stale:  func(x model.Cluster) bool { return x.Freshness == model.FreshStale },
		closing: func(c *call, _ []model.Cluster) {
			if c.OutTerminal && !c.documents() && c.lists.filter == "" && c.lists.selector == "" && c.lists.project == "" {
				c.notePending()
			}
		},
		columns: []output.Column{
			{Title: "NAME"}, {Title: "STATE", Status: true}, {Title: "SEEN", Path: ".lastSeen"}, {Title: "APPS", Path: ".applications"}, {Title: "KUBERNETES"}, {Title: "AGENT"},
			{Title: "NODES", Wide: true}, {Title: "LABELS", Wide: true}, {Title: "ALIASES", Wide: true}, {Title: "ID", Wide: true},
		},
		row: func(x model.Cluster) []string {
			return []string{
				x.Name, connection(x), output.Age(s.now(), x.LastSeen), strconv.Itoa(x.Applications),
				x.KubeVersion, x.AgentVersion, strconv.Itoa(x.Nodes), labelText(x.Labels), strings.Join(x.Aliases, ","), string(x.ID),
			}
		},
	}
	return clusters.command(s, &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "All clusters", Args: exactArgs()}, "/clusters", nil)
}

func connection(c model.Cluster) string {
	switch {
	case c.Revoked:
		return "Revoked"
	case c.Held != "" && !c.Connected:
		return "Held"
	case c.Connected:
		return "Connected"
	case c.LastSeen == nil:
		return "NeverSeen"
	}
	return "Offline"
}

func newClusterGet(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Short: "One cluster", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			var x model.Cluster
			if err := c.get(clusterPath(c.args[0]), &x); err != nil {
				return err
			}
			return c.one(x, "cluster/"+x.Name, func() error { return c.describeCluster(x) })
		}),
	}
}

func (c *call) describeCluster(x model.Cluster) error {
	fields := [][2]string{
		{"Name", x.Name}, {"ID", string(x.ID)}, {"State", connection(x)}, {"Seen", output.Age(c.now(), x.LastSeen)},
		{"Freshness", string(x.Freshness)}, {"Kubernetes", x.KubeVersion}, {"Agent", x.AgentVersion},
		{"Nodes", strconv.Itoa(x.Nodes)}, {"Namespaces", strconv.Itoa(x.Namespaces)},
		{"Applications", strconv.Itoa(x.Applications)}, {"Labels", labelText(x.Labels)},
		{"Aliases", strings.Join(x.Aliases, ", ")},
	}
	if x.RoundTrip > 0 {
		fields = append(fields, [2]string{"Round trip", roundTrip(x.RoundTrip)})
	}
	if x.Held != "" {
		fields = append(fields, [2]string{"Held", x.Held})
	}
	if x.CertNotAfter != nil {
		fields = append(fields, [2]string{"Certificate", "until " + x.CertNotAfter.Format(time.RFC3339)})
	}
	settings := "none"
	if x.SettingsVersion > 0 {
		settings = "version " + strconv.FormatInt(x.SettingsVersion, 10)
	}
	fields = append(fields, [2]string{"Settings", settings})
	for _, cond := range x.Conditions {
		fields = append(fields, [2]string{"Condition", cond})
	}
	for _, u := range x.UnknownApps {
		fields = append(fields, [2]string{"Unknown app", fmt.Sprintf("%s (project %s, generation %d): held by the agent, not known here; it is left alone", u.Name, u.Project, u.Generation)})
	}
	return c.describe(fields)
}

// changeCluster replaces the labels or the aliases of a cluster by what change
// makes of them, again when somebody else changed the cluster meanwhile. before,
// when it is given, is asked first, and its error is that nothing is changed.
func (c *call) changeCluster(name, what string, change func(model.Cluster) (any, error), before func(changed any) error) error {
	const tries = 5
	for try := 1; ; try++ {
		var x model.Cluster
		read, err := c.api.Call(c.ctx, http.MethodGet, clusterPath(name), nil, nil, &x)
		if err != nil {
			return err
		}
		changed, err := change(x)
		if err != nil {
			return err
		}
		if before != nil {
			if err := before(changed); err != nil {
				return err
			}
		}
		header := http.Header{}
		if tag := read.Get("ETag"); tag != "" {
			header.Set("If-Match", tag)
		}
		err = c.api.DoWith(c.ctx, http.MethodPut, clusterPath(name)+"/"+what, header, map[string]any{what: changed}, nil)
		if fault.HasCode(err, "version_conflict") && try < tries {
			continue
		}
		return err
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
		RunE: s.run(func(c *call) error {
			name, server := c.args[0], c.args[1]
			done := "%s does not mean cluster %q any more"
			if !remove {
				done = "%s now means cluster %q"
			}
			err := c.changeCluster(name, "aliases", func(x model.Cluster) (any, error) {
				aliases := slices.DeleteFunc(slices.Clone(x.Aliases), func(a string) bool { return a == server })
				if !remove {
					aliases = append(aliases, server)
				} else if len(aliases) == len(x.Aliases) {
					return nil, fault.New(fault.NotFound, "alias_unknown", "%s has no alias %s", name, server).WithFix("see hawser cluster get %s", name)
				}
				return aliases, nil
			}, nil)
			if err == nil {
				c.note(done, server, name)
			}
			return err
		}),
	}
	c.Flags().BoolVar(&remove, "remove", false, "take the alias away")
	return c
}

func newClusterRevoke(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "End the agent's access; its cluster stays as it is", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			return c.change(http.MethodPost, clusterPath(c.args[0])+"/revoke", nil, "the agent of %q has no access any more; its cluster stays as it is", c.args[0])
		}),
	}
}

func newClusterAllow(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "allow NAME", Short: "Let in the agent of a cluster that is held for approval", Args: exactArgs("NAME"),
		Long: `Let in the agent of a cluster that is held for approval: because two agents used its
certificate (duplicate_identity), or because one came from another Kubernetes cluster
than was enrolled (cluster_changed). hawser cluster describe NAME says which. For
duplicate_identity, first see to it that there is one agent only; when the certificate
was stolen, enrol the cluster again instead.`,
		RunE: s.run(func(c *call) error {
			return c.change(http.MethodPost, clusterPath(c.args[0])+"/allow", nil, "the agent of %q gets in when it tries next, within 5 minutes or when it is started again", c.args[0])
		}),
	}
}

func newClusterDelete(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Forget a cluster that no application points at; nothing in it is touched", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			return c.change(http.MethodDelete, clusterPath(c.args[0]), nil, "cluster %q forgotten; nothing in it was touched", c.args[0])
		}),
	}
}
