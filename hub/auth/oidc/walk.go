package oidc

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// This file has the steps that an administrator tests a provider with.

// handshake connects, and says who vouches for the provider.
func (r *remote) handshake(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, r.settings.Issuer, nil)
	if err != nil {
		return "", fault.Wrap(err, fault.Invalid, "oidc_settings_invalid", "the issuer is not a URL").WithField("issuer")
	}
	res, err := r.client.Do(req)
	if err != nil {
		return "", unreachable(err)
	}
	defer res.Body.Close()
	if res.TLS == nil || len(res.TLS.PeerCertificates) == 0 {
		return "", fault.New(fault.Upstream, "oidc_tls_untrusted", "the identity provider showed no certificate")
	}
	leaf := res.TLS.PeerCertificates[0]
	return fmt.Sprintf("certificate of %q until %s", short(leaf.Issuer.String()), leaf.NotAfter.UTC().Format("2006-01-02")), nil
}

func (r *remote) described(ctx context.Context) (string, error) {
	d, err := r.discover(ctx)
	if err != nil {
		return "", err
	}
	flows := []string{"code with PKCE"}
	if d.Device != "" {
		flows = append(flows, "device")
	}
	return "flows: " + strings.Join(flows, ", "), nil
}

func (r *remote) counted(ctx context.Context) (string, error) {
	body, err := r.keys.fetch(ctx)
	if err != nil {
		return "", err
	}
	set, err := readKeys(body)
	if err != nil {
		return "", fault.Wrap(err, fault.Upstream, "oidc_keys_unavailable", "the keys of the identity provider cannot be read")
	}
	return fmt.Sprintf("%d keys", len(set)), nil
}
