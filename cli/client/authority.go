package client

import (
	"context"
	"encoding/pem"
	"net/http"

	"github.com/hawser-dev/hawser/shared/wire"
)

// Authority asks the hub for the certificate of the CA that is pinned, PEM; nil
// when none is, and the system's authorities are trusted.
func (c *Client) Authority(ctx context.Context) ([]byte, error) {
	if c.hub.CAHash == "" {
		return nil, nil
	}
	req, err := c.request(ctx, http.MethodGet, "/version", nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	// The handshake was refused unless one of these is the pinned one.
	for _, cert := range resp.TLS.PeerCertificates {
		if cert.IsCA && wire.CAHash(cert) == c.hub.CAHash {
			return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), nil
		}
	}
	return nil, distrust(verifyPinned(*resp.TLS, req.URL, c.hub.CAHash), c.hub)
}

// Hub is where and as whom the client speaks.
func (c *Client) Hub() Hub { return c.hub }
