package command

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientauth "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// This file makes kubectl go through the hub to clusters that only their agents
// reach.

const (
	// credentialLife is how long a token is used before another is asked for, where the
	// hub's clock does not say less; the hub's tokens live 10 minutes.
	credentialLife = 9 * time.Minute
	// credentialLeft is how long a token that was kept must still be good.
	credentialLeft = time.Minute
)

func newClusterKubectl(s *session) *cobra.Command {
	var enable, disable bool
	c := &cobra.Command{
		Use:   "kubectl NAME --enable|--disable",
		Short: "Let kubectl go through the hub to a cluster, or not",
		Long: `Let kubectl go through the hub to a cluster, or not any more: what is open then ends
within 5 seconds. It is off until somebody turns it on, and takes an agent that was
started with --allow-kubectl and whose account may impersonate; docs/kubectl.md.

  hawser cluster kubectl eu-prod --enable
  hawser cluster kubeconfig eu-prod --merge
  kubectl --context hawser-eu-prod get pods`,
		Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			if enable == disable {
				return fault.New(fault.Invalid, "usage", "say one of --enable and --disable")
			}
			done := "kubectl goes through the hub to cluster %q"
			if disable {
				done = "kubectl does not go through the hub to cluster %q"
			}
			return c.change("PUT", clusterPath(c.args[0])+"/kubectl", map[string]any{"enabled": enable}, done, c.args[0])
		}),
	}
	c.Flags().BoolVar(&enable, "enable", false, "let it through")
	c.Flags().BoolVar(&disable, "disable", false, "let it through no more")
	return c
}

func newClusterKubeconfig(s *session) *cobra.Command {
	var (
		merge bool
		file  string
	)
	c := &cobra.Command{
		Use:   "kubeconfig NAME",
		Short: "Write a kubeconfig with which kubectl goes through the hub to a cluster",
		Long: `Write a kubeconfig with which kubectl goes through the hub to a cluster that only its
agent reaches. There is no secret in it: kubectl asks hawser kube-credential for a
token of this cluster that is good for some minutes. Without --merge and --file it is printed.

  hawser cluster kubeconfig eu-prod --merge     into $KUBECONFIG or ~/.kube/config
  kubectl --context hawser-eu-prod get pods`,
		Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			if merge && file != "" {
				return fault.New(fault.Invalid, "usage", "--merge and --file exclude each other")
			}
			var cluster model.Cluster
			if err := c.get(clusterPath(c.args[0]), &cluster); err != nil {
				return err
			}
			config, err := c.kubeconfig(cluster.Name)
			if err != nil {
				return err
			}
			if !cluster.Kubectl {
				c.note("kubectl is not let through to cluster %q yet; whoever may update the cluster can turn it on: hawser cluster kubectl %s --enable", cluster.Name, cluster.Name)
			}
			switch {
			case merge:
				return c.mergeKubeconfig(config)
			case file != "":
				if err := clientcmd.WriteToFile(*config, file); err != nil {
					return fault.Wrap(err, fault.Invalid, "file_unwritable", "%s cannot be written", file)
				}
				c.note("written to %s: kubectl --kubeconfig %s get pods", file, file)
				return nil
			}
			text, err := clientcmd.Write(*config)
			if err != nil {
				return err
			}
			var document map[string]any
			if err := yaml.Unmarshal(text, &document); err != nil {
				return err
			}
			return c.one(document, "cluster/"+cluster.Name, func() error {
				_, err := c.Out.Write(text)
				return err
			})
		}),
	}
	c.Flags().BoolVar(&merge, "merge", false, "put it into the kubeconfig that kubectl uses, beside what is there")
	c.Flags().StringVar(&file, "file", "", "write it to this file")
	return c
}

// kubeconfig makes the kubeconfig of one cluster.
func (c *call) kubeconfig(cluster string) (*clientcmdapi.Config, error) {
	hub := c.api.Hub()
	ca, err := c.api.Authority(c.ctx)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	exec := &clientcmdapi.ExecConfig{
		APIVersion: clientauth.SchemeGroupVersion.String(), Command: program, Args: []string{"kube-credential", cluster, "--hub", hub.URL},
		InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		InstallHint:     "This cluster is reached through a Hawser hub: log in with hawser login " + hub.URL,
	}
	file, err := loadConfig()
	if err != nil {
		return nil, err
	}
	if x, ok := file.Context(c.context); ok && x.URL == hub.URL {
		exec.Args = []string{"kube-credential", cluster, "--context", x.Name}
	}
	if path := os.Getenv("HAWSER_CONFIG"); path != "" {
		exec.Env = []clientcmdapi.ExecEnvVar{{Name: "HAWSER_CONFIG", Value: path}}
	}
	name := "hawser-" + cluster
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: strings.TrimSuffix(hub.URL, "/") + "/k8s/clusters/" + url.PathEscape(cluster), CertificateAuthorityData: ca}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Exec: exec}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return config, nil
}

// mergeKubeconfig puts a kubeconfig beside what there is in kubectl's own.
func (c *call) mergeKubeconfig(config *clientcmdapi.Config) error {
	path := clientcmd.NewDefaultClientConfigLoadingRules().GetDefaultFilename()
	into, err := clientcmd.LoadFromFile(path)
	switch {
	case os.IsNotExist(err):
		into = clientcmdapi.NewConfig()
	case err != nil:
		return fault.Wrap(err, fault.Invalid, "kubeconfig_invalid", "the kubeconfig %s cannot be understood", path)
	}
	name := config.CurrentContext
	into.Clusters[name], into.AuthInfos[name], into.Contexts[name] = config.Clusters[name], config.AuthInfos[name], config.Contexts[name]
	if into.CurrentContext == "" {
		into.CurrentContext = name
	}
	if err := clientcmd.WriteToFile(*into, path); err != nil {
		return fault.Wrap(err, fault.Invalid, "file_unwritable", "%s cannot be written", path)
	}
	c.note("context %q is in %s: kubectl --context %s get pods", name, path, name)
	return nil
}

func newKubeCredential(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "kube-credential NAME",
		Short: "Print a token for one cluster for kubectl, which calls this itself",
		Long: `Print a token as kubectl asks for it (ExecCredential of
client.authentication.k8s.io/v1). The kubeconfig that hawser cluster kubeconfig writes
calls this. The token is good for this cluster and at most 10 minutes, ends with the
login, and is kept in the cache directory, for its owner alone, until it is replaced.`,
		Hidden: true,
		Args:   exactArgs("NAME"),
		RunE: s.offline(func(c *call) error {
			hub, err := s.hub()
			if err != nil {
				return err
			}
			if hub.Token == "" {
				return fault.New(fault.Unauthorized, "not_logged_in", "you are not logged in to %s", hub.URL).WithFix("%s login %s", s.Program, hub.URL)
			}
			token, err := c.clusterToken(hub.Token, c.args[0])
			if err != nil {
				return err
			}
			until := metav1.NewTime(token.ExpiresAt)
			return json.NewEncoder(c.Out).Encode(clientauth.ExecCredential{
				TypeMeta: metav1.TypeMeta{APIVersion: clientauth.SchemeGroupVersion.String(), Kind: "ExecCredential"},
				Status:   &clientauth.ExecCredentialStatus{Token: token.Token, ExpirationTimestamp: &until},
			})
		}),
	}
}

// clusterToken is what the hub answers, and what is kept of it.
type clusterToken struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// clusterToken returns the token that is kept for a login and a cluster, or a new
// one. What cannot be kept is asked for each time.
func (c *call) clusterToken(login, cluster string) (t clusterToken, err error) {
	sum := sha256.Sum256([]byte(login + "\x00" + cluster))
	path, err := c.cachePath("kubectl-" + hex.EncodeToString(sum[:16]))
	if err != nil {
		path = ""
	}
	now := c.now()
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &t) == nil && t.Token != "" {
		if left := t.ExpiresAt.Sub(now); left > credentialLeft && left <= credentialLife {
			return t, nil
		}
	}
	if c.api, err = c.client(); err != nil {
		return t, err
	}
	if err := c.api.Do(c.ctx, http.MethodPost, clusterPath(cluster)+"/kubectl-token", nil, &t); err != nil {
		return t, err
	}
	// The clocks may differ: what counts here is how long ago it was asked for.
	if until := now.Add(credentialLife).UTC().Truncate(time.Second); t.ExpiresAt.After(until) || !t.ExpiresAt.After(now) {
		t.ExpiresAt = until
	}
	if path != "" {
		keepClusterToken(path, t)
	}
	return t, nil
}

// keepClusterToken keeps a token for its owner alone, and removes those beside it
// that have expired.
func keepClusterToken(path string, t clusterToken) {
	text, err := json.Marshal(t)
	dir := filepath.Dir(path)
	if err != nil || os.MkdirAll(dir, 0o700) != nil {
		return
	}
	old, _ := filepath.Glob(filepath.Join(dir, "kubectl-*")) // the pattern is valid
	for _, f := range old {
		if info, err := os.Stat(f); err == nil && time.Since(info.ModTime()) > credentialLife {
			_ = os.Remove(f) // another may have
		}
	}
	f, err := os.CreateTemp(dir, "kubectl-*") // 0600
	if err != nil {
		return
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil || os.Rename(f.Name(), path) != nil {
		_ = os.Remove(f.Name()) // what is left is removed by the next
	}
}
