package command

import (
	"encoding/json"
	"net/url"
	"os"
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

// credentialLife is how long kubectl may use a token before it asks for it again:
// a login that was renewed or ended meanwhile is noticed.
const credentialLife = 5 * time.Minute

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
agent reaches. There is no secret in it: kubectl asks hawser kube-credential for the
token of the login. Without --merge and --file it is printed.

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
				c.note("kubectl is not let through to cluster %q yet; an administrator can turn it on: hawser cluster kubectl %s --enable", cluster.Name, cluster.Name)
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
		APIVersion: clientauth.SchemeGroupVersion.String(), Command: program, Args: []string{"kube-credential", "--hub", hub.URL},
		InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		InstallHint:     "This cluster is reached through a Hawser hub: log in with hawser login " + hub.URL,
	}
	file, err := loadConfig()
	if err != nil {
		return nil, err
	}
	if x, ok := file.Context(c.context); ok && x.URL == hub.URL {
		exec.Args = []string{"kube-credential", "--context", x.Name}
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
		Use:   "kube-credential",
		Short: "Print the login's token for kubectl, which calls this itself",
		Long: `Print the token of the login as kubectl asks for it (ExecCredential of
client.authentication.k8s.io/v1). The kubeconfig that hawser cluster kubeconfig writes
calls this. It does not ask the hub.`,
		Hidden: true,
		Args:   exactArgs(),
		RunE: s.offline(func(c *call) error {
			hub, err := s.hub()
			if err != nil {
				return err
			}
			if hub.Token == "" {
				return fault.New(fault.Unauthorized, "not_logged_in", "you are not logged in to %s", hub.URL).WithFix("%s login %s", s.Program, hub.URL)
			}
			until := metav1.NewTime(s.now().Add(credentialLife))
			return json.NewEncoder(c.Out).Encode(clientauth.ExecCredential{
				TypeMeta: metav1.TypeMeta{APIVersion: clientauth.SchemeGroupVersion.String(), Kind: "ExecCredential"},
				Status:   &clientauth.ExecCredentialStatus{Token: hub.Token, ExpirationTimestamp: &until},
			})
		}),
	}
}
