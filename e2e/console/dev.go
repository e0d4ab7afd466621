package console

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// DevAddress is where Dev serves.
const DevAddress = "https://localhost:5173"

// Dev serves the console's sources, which a browser shows anew as they change, over a
// hub that runs, until ctx ends. It speaks TLS with a certificate of its own: browsers
// take the cookie of a session from nothing else. dir receives the certificate.
func Dev(ctx context.Context, hub, dir string, out io.Writer) error {
	root, err := testbed.RepoRoot()
	if err != nil {
		return err
	}
	node, err := testbed.Node(ctx, out)
	if err != nil {
		return err
	}
	certificate, key, err := selfSigned(dir)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "npm", "run", "dev", "--", "--strictPort", "--clearScreen", "false")
	cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Join(root, "hub", "console"), out, out
	cmd.Env = append(testbed.NodeEnv(node), "HAWSER_HUB="+hub, "HAWSER_DEV_CERT="+certificate, "HAWSER_DEV_KEY="+key)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("npm run dev: %w", err)
	}
	return nil
}

// selfSigned writes a certificate for loopback that lasts a day, and its key.
func selfSigned(dir string) (certificate, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "console in development"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	certificate, key = filepath.Join(dir, "console-dev.crt"), filepath.Join(dir, "console-dev.key")
	if err := os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return "", "", err
	}
	return certificate, key, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
}
