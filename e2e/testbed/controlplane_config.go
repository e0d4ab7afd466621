package testbed

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Users with a kubeconfig file in the directory, so that the audit log tells the
// processes apart. All are administrators.
const (
	adminUser             = "admin"
	controllerManagerUser = "system:kube-controller-manager"
	schedulerUser         = "system:kube-scheduler"
	kwokUser              = "kwok"
	adminGroup            = "system:masters"
)

func (cp *ControlPlane) file(name string) string { return filepath.Join(cp.dir, name) }

// writeFiles makes keys, certificates, kubeconfigs and policies.
func (cp *ControlPlane) writeFiles() error {
	ca, err := newAuthority("hawser-testbed-" + cp.Name)
	if err != nil {
		return err
	}
	cp.ca = ca
	cert, key, err := ca.server("kubernetes", "kubernetes.default", "kubernetes.default.svc")
	if err != nil {
		return err
	}
	_, serviceAccountKey, err := newKey()
	if err != nil {
		return err
	}
	cp.AdminToken = rand.Text()
	cp.kubeAdmin, err = cp.kubeconfig(adminUser, &clientcmdapi.AuthInfo{Token: cp.AdminToken})
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"ca.crt":        ca.pem,
		"apiserver.crt": cert,
		"apiserver.key": key,
		"sa.key":        serviceAccountKey,
		"tokens.csv":    fmt.Appendf(nil, "%s,%s,%s,%s\n", cp.AdminToken, adminUser, adminUser, adminGroup),
		"audit.yaml":    []byte(cp.opts.AuditPolicy),
		adminKubeconfig: cp.kubeAdmin,
	}
	for proc, user := range map[string]string{ProcControllerManager: controllerManagerUser, ProcScheduler: schedulerUser, ProcKwok: kwokUser} {
		if files[proc+".kubeconfig"], err = cp.UserKubeconfig(user, adminGroup); err != nil {
			return err
		}
	}
	for name, data := range files {
		if err := os.WriteFile(cp.file(name), data, 0o600); err != nil {
			return fmt.Errorf("testbed: %w", err)
		}
	}
	return nil
}

const adminKubeconfig = "admin.kubeconfig"

// commandLine returns the program and arguments of a process.
func (cp *ControlPlane) commandLine(name string) (path string, args []string) {
	etcdURL := "http://" + cp.ports.etcdClient.address()
	peerURL := "http://" + cp.ports.etcdPeer.address()
	switch name {
	case ProcEtcd:
		return cp.bins.Etcd, []string{
			"--name=default",
			"--data-dir=" + cp.file("etcd"),
			"--listen-client-urls=" + etcdURL,
			"--advertise-client-urls=" + etcdURL,
			"--listen-peer-urls=" + peerURL,
			"--initial-advertise-peer-urls=" + peerURL,
			"--initial-cluster=default=" + peerURL,
			"--unsafe-no-fsync",
			"--log-level=warn",
		}
	case ProcAPIServer:
		return cp.bins.APIServer, append([]string{
			"--bind-address=127.0.0.1",
			"--advertise-address=127.0.0.1",
			fmt.Sprintf("--secure-port=%d", cp.ports.apiServer.number),
			// A loopback address may not be an endpoint of the kubernetes service.
			"--endpoint-reconciler-type=none",
			"--etcd-servers=" + etcdURL,
			"--cert-dir=" + cp.file("certs"),
			"--tls-cert-file=" + cp.file("apiserver.crt"),
			"--tls-private-key-file=" + cp.file("apiserver.key"),
			"--client-ca-file=" + cp.file("ca.crt"),
			"--token-auth-file=" + cp.file("tokens.csv"),
			"--authorization-mode=RBAC",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + cp.file("sa.key"),
			"--service-account-signing-key-file=" + cp.file("sa.key"),
			"--service-cluster-ip-range=10.0.0.0/16",
			"--allow-privileged",
			"--audit-policy-file=" + cp.file("audit.yaml"),
			"--audit-log-path=" + cp.AuditLog(),
			// Large enough that it never rotates: readers follow one file.
			"--audit-log-maxsize=100000",
			// The nodes have host names that nobody resolves.
			"--kubelet-preferred-address-types=InternalIP",
		}, cp.opts.APIServerArgs...)
	case ProcControllerManager:
		args := []string{
			"--kubeconfig=" + cp.file(ProcControllerManager+".kubeconfig"),
			"--service-account-private-key-file=" + cp.file("sa.key"),
			"--root-ca-file=" + cp.file("ca.crt"),
			"--leader-elect=false",
			"--secure-port=0",
			// Without nodelifecycle nobody declares simulated nodes dead.
			"--controllers=*,-nodeipam,-nodelifecycle",
		}
		if !cp.opts.Throttled {
			args = append(args,
				"--kube-api-qps=2000", "--kube-api-burst=4000",
				"--concurrent-deployment-syncs=20", "--concurrent-replicaset-syncs=20",
				"--concurrent-namespace-syncs=20", "--concurrent-gc-syncs=20")
		}
		return cp.bins.ControllerManager, args
	case ProcScheduler:
		args := []string{
			"--kubeconfig=" + cp.file(ProcScheduler+".kubeconfig"),
			"--leader-elect=false",
			"--secure-port=0",
		}
		if !cp.opts.Throttled {
			args = append(args, "--kube-api-qps=2000", "--kube-api-burst=4000")
		}
		return cp.bins.Scheduler, args
	case ProcKwok:
		args := []string{
			"--kubeconfig=" + cp.file(ProcKwok+".kubeconfig"),
			"--config=" + cp.bins.KwokStages,
			"--manage-all-nodes",
			"--node-ip=127.0.0.1",
			"--cidr=10.244.0.0/16",
			"--node-lease-duration-seconds=40",
		}
		if cp.opts.Kubelet != nil {
			// kwok tells the port to the nodes, and would listen on it itself.
			args = append(args, fmt.Sprintf("--node-port=%d", cp.opts.Kubelet.Port()), "--server-address=127.0.0.1:0")
		}
		return cp.bins.Kwok, args
	}
	panic("testbed: no process is called " + name)
}

func (cp *ControlPlane) kubeconfig(user string, auth *clientcmdapi.AuthInfo) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters[cp.Name] = &clientcmdapi.Cluster{Server: cp.URL(), CertificateAuthorityData: cp.ca.pem}
	config.AuthInfos[user] = auth
	config.Contexts[cp.Name] = &clientcmdapi.Context{Cluster: cp.Name, AuthInfo: user}
	config.CurrentContext = cp.Name
	data, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("testbed: kubeconfig of %s: %w", user, err)
	}
	return data, nil
}

// Kubeconfig is the administrator's kubeconfig, with all data inline. What is
// done with it appears in the audit log as user "admin".
func (cp *ControlPlane) Kubeconfig() []byte { return cp.kubeAdmin }

// KubeconfigPath is a file with the administrator's kubeconfig.
func (cp *ControlPlane) KubeconfigPath() string { return cp.file(adminKubeconfig) }

// UserKubeconfig is a kubeconfig with a fresh client certificate for any user and
// groups, for instance to cause drift as somebody whom the audit log can tell
// apart. A user has only the rights that RBAC gives it; group system:masters has
// all.
func (cp *ControlPlane) UserKubeconfig(user string, groups ...string) ([]byte, error) {
	cert, key, err := cp.ca.client(user, groups)
	if err != nil {
		return nil, err
	}
	return cp.kubeconfig(user, &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key})
}

// RESTConfig is the administrator's client configuration without a limit on the
// client's side. The caller may change it.
func (cp *ControlPlane) RESTConfig() *rest.Config {
	config, err := RESTConfig(cp.kubeAdmin)
	if err != nil {
		panic(err) // the bytes were written by clientcmd
	}
	return config
}

// RESTConfig reads a kubeconfig of a control plane, without a limit on the
// client's side.
func RESTConfig(kubeconfig []byte) (*rest.Config, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("testbed: kubeconfig: %w", err)
	}
	config.QPS = -1
	return config, nil
}
