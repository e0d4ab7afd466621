package client

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// Probe is what is to be seen of a hub without asking it for data.
type Probe struct {
	Status int
	Body   string // at most 4 KiB
	// Took is how long the answer took, Date what the hub's clock said in it; zero
	// when it did not say.
	Took time.Duration
	Date time.Time
	// CertificateUntil is when the hub's certificate ends.
	CertificateUntil time.Time
}

// Probe fetches path, which is below the hub's address and not below /api/v1,
// without the token.
func (c *Client) Probe(ctx context.Context, path string) (Probe, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.hub.URL, "/")+path, nil)
	if err != nil {
		return Probe{}, err
	}
	start := time.Now()
	resp, err := c.send(req)
	if err != nil {
		return Probe{}, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096)) // what there is of it is enough
	p := Probe{Status: resp.StatusCode, Body: string(body), Took: time.Since(start)}
	p.Date, _ = http.ParseTime(resp.Header.Get("Date"))
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		p.CertificateUntil = resp.TLS.PeerCertificates[0].NotAfter
	}
	return p, nil
}
