package hostile

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/tunnel"
)

// maxResident is what docs/tunnel-security.md says of the memory of a hub without
// applications that is attacked in all these ways at once: far above what runs measured, since
// how much of its garbage a busy machine's hub has collected is chance.
const maxResident = 1 << 30

// A real hub under all of it at once: strangers who say nothing or half of something,
// streams that are opened and reset, agents that report without end, and tunnels
// full of frames. What the process has in memory stays bounded, and it still answers.
func TestE10_ResidentMemoryOfAHubUnderAttack(t *testing.T) {
	if testing.Short() {
		t.Skip("is half a minute of work for two cores, which -short leaves out")
	}
	ctx := longer(t)
	r, err := rig.Start(ctx, rig.Options{Bin: rig.Programs(t), NoGit: true})
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	api, err := r.API()
	must(t, err)
	usage := func() testbed.Usage {
		u, err := testbed.ProcessUsage(r.Hub.PID())
		if err != nil {
			t.Skipf("this system does not say: %v", err)
		}
		return u
	}
	stranger := &Agent{Address: r.Hub.Addr}
	join := func(name string) (*Agent, model.ClusterID) {
		out, err := r.CLI(ctx, "cluster", "enroll", name, "--yes", "-o", "json")
		must(t, err)
		var minted struct{ Token string }
		must(t, json.Unmarshal(out, &minted))
		key, err := Key()
		must(t, err)
		csr, err := CSR(key, nil)
		must(t, err)
		got, err := agentv1.NewEnrolmentClient(call(t, stranger, model.EnrolServerName)).Enrol(ctx, &agentv1.EnrolRequest{Token: minted.Token, ClusterName: name, CsrPem: csr})
		must(t, err)
		pair, err := Pair(got.CertificatePem, key)
		must(t, err)
		return &Agent{Address: r.Hub.Addr, Certificate: pair}, model.ClusterID(got.ClusterId)
	}
	type enrolled struct {
		*Agent
		name    string
		cluster model.ClusterID
	}
	var bad []enrolled
	for i := range 6 {
		name := fmt.Sprintf("bad-%d", i)
		a, cluster := join(name)
		must(t, api.Do(ctx, http.MethodPut, "/clusters/"+name+"/kubectl", map[string]bool{"enabled": true}, nil))
		bad = append(bad, enrolled{a, name, cluster})
	}
	before := usage()

	// Each attack ends by itself, or with the test's patience.
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	var reports, resets, tunnels, strangers atomic.Int64
	hello := ClientHello(model.AgentServerName)
	for range 1500 {
		conn, err := stranger.Connect(ctx)
		if err != nil {
			continue
		}
		defer conn.Close()
		_, _ = conn.Write(hello[:len(hello)/2]) // it may be shut out already
		strangers.Add(1)
	}
	for _, a := range bad[:2] {
		wg.Go(func() {
			h, err := a.HTTP2(ctx, model.AgentServerName)
			if err != nil {
				return
			}
			defer h.Conn.Close()
			go io.Copy(io.Discard, h.Conn)
			for range 50_000 {
				stream, err := h.Call(agentv1.Control_Session_FullMethodName)
				if err == nil {
					err = h.WriteRSTStream(stream, http2.ErrCodeCancel)
				}
				if err != nil {
					return // cut off
				}
				resets.Add(1)
			}
		})
	}
	status := []byte(`{"conditions":[{"type":"x","message":"` + strings.Repeat("x", 1<<20) + `"}]}`)
	tree := []byte(`{"nodes":[` + strings.Repeat("{},", 60_000) + `{}]}`)
	flood := bytes.Repeat(append(YamuxFrame(YamuxWindow, YamuxSyn, 2, 0, nil), YamuxFrame(YamuxPing, YamuxSyn, 0, 1, nil)...), 512)
	browser := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	for _, a := range bad[2:] {
		h := Hello(a.cluster)
		h.GetHello().Capabilities = []string{model.CapabilityAccess}
		s := begin(t, call(t, a.Agent, model.AgentServerName), h)
		var opened sync.Once
		ready := make(chan struct{})
		wg.Go(func() { // opens the tunnels that are asked for
			for {
				m, err := s.stream.Recv()
				if err != nil {
					return
				}
				if m.GetWelcome() != nil {
					s.epoch = m.GetWelcome().Epoch
				}
				if m.GetInSync() != nil {
					opened.Do(func() { close(ready) })
				}
				if m.GetOpenTunnel() == nil {
					continue
				}
				cc := call(t, a.Agent, model.AgentServerName)
				stream, err := agentv1.NewAccessClient(cc).Tunnel(ctx, grpc.CallContentSubtype(tunnel.ContentSubtype))
				if err != nil || tunnel.SendOpen(stream, m.GetOpenTunnel().Id) != nil {
					continue
				}
				tunnels.Add(1)
				conn := tunnel.NewConn(stream, stream.CloseSend, func() { cc.Close() })
				wg.Go(func() {
					defer conn.Close()
					for ctx.Err() == nil {
						if _, err := conn.Write(flood); err != nil {
							return
						}
					}
				})
			}
		})
		wg.Go(func() { // reports
			select {
			case <-ready:
			case <-ctx.Done():
				return
			}
			for i := range 60 { // a MiB each
				if s.say(&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Reports{Reports: &agentv1.AppReports{Reports: []*agentv1.AppReport{
					{AppUid: fmt.Sprint("x", i), Seq: uint64(i + 1), ObservedAt: timestamppb.Now(), StatusJson: status, TreeJson: tree}}}}}) != nil {
					return
				}
				reports.Add(1)
			}
		})
		wg.Go(func() { // asks for tunnels, as a user does
			for range 20 {
				asking, end := context.WithTimeout(ctx, 2*time.Second)
				req, _ := http.NewRequestWithContext(asking, http.MethodGet, r.Hub.URL()+"/k8s/clusters/"+a.name+"/version", nil)
				req.Header.Set("Authorization", "Bearer "+api.Hub().Token)
				if resp, err := browser.Do(req); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				end()
			}
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); wg.Wait() }()
	worst := time.Duration(0)
	for attacked := true; attacked; {
		begun := time.Now()
		if _, err := api.Probe(longer(t), "/healthz"); err != nil {
			t.Fatal(err)
		}
		worst = max(worst, time.Since(begun))
		select {
		case <-done:
			attacked = false
		case <-ctx.Done():
			attacked = false
		case <-time.After(200 * time.Millisecond):
		}
	}
	after := usage()
	t.Logf("%d MiB before, %d MiB at most, %d MiB afterwards, %d MiB more; it answered within %s; %d strangers, %d resets, %d reports, %d tunnels",
		before.RSS>>20, after.PeakRSS>>20, after.RSS>>20, (after.PeakRSS-before.RSS)>>20, worst, strangers.Load(), resets.Load(), reports.Load(), tunnels.Load())
	if after.PeakRSS > maxResident {
		t.Errorf("the hub had %d MiB in memory, %d before", after.PeakRSS>>20, before.RSS>>20)
	}
	if strangers.Load() < 1000 || resets.Load() < 100 || reports.Load() < 50 || tunnels.Load() < 4 {
		t.Errorf("%d strangers, %d resets, %d reports, %d tunnels: that was no attack", strangers.Load(), resets.Load(), reports.Load(), tunnels.Load())
	}
	if worst > 10*time.Second {
		t.Errorf("it did not answer for %s", worst)
	}
	_, err = r.CLI(longer(t), "cluster", "list")
	must(t, err)
}
