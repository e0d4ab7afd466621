package link

import (
	"context"

	"github.com/hawser-dev/hawser/shared/model"
)

// Handler is the agent behind the link: the journal and what acts on it. Its
// methods are called one at a time and in the order in which the hub sent, on
// a goroutine of the link; none may wait for the network or for a sync. ctx
// ends with the session.
type Handler interface {
	// Hello says what the agent holds. The link fills in Cluster,
	// AgentVersion, Instance and the protocol range. An error postpones the
	// session: an agent that does not know what it holds must not ask.
	Hello(ctx context.Context) (model.Hello, error)
	// Welcome is called after the link has checked the incarnation signature
	// and that the epoch is above Hello's LastEpoch. It must store the epoch
	// durably before it returns; an error ends the session.
	Welcome(ctx context.Context, w model.Welcome) error
	// HaveBundle reports whether the agent still holds the bundle, so that it
	// need not be fetched.
	HaveBundle(digest model.Digest) bool
	// Desired hands over a desired state. bundle is its encoded bundle, not
	// yet checked against the digest; nil when HaveBundle was true. ack is
	// called once, from any goroutine and at any time later, when the state is
	// durable (nil) or refused (a fault.Error; its code and message travel to
	// the hub). An ack after the end of the session does nothing.
	Desired(ctx context.Context, d model.Desired, bundle []byte, ack func(error))
	// Withdraw removes an application; its operation's updates tell how far.
	Withdraw(ctx context.Context, w model.Withdraw)
	// Operation hands over a command, or the wish to terminate one.
	Operation(ctx context.Context, c model.Command)
	// OperationAck: the hub has stored the end of these operations.
	OperationAck(ids []model.OperationID)
	// ReportAck: reports up to and including seq are stored or superseded.
	ReportAck(seq uint64)
	// InSync: everything that the hub holds for this cluster was handed over
	// in this session.
	InSync()
	// Refresh asks to compare and report these applications now.
	Refresh(apps []model.AppUID)
	// Disconnected is called once for each session that was welcomed, after
	// its last message. err says why.
	Disconnected(err error)
}

// Sender is the way up, implemented by *Link. No method waits for the network.
// What is sent while no session is open is dropped, because the next hello and
// the reports after it say it again; only the newest cluster report is kept.
type Sender interface {
	// Reports queues observations. Of several reports of one application only
	// the newest is sent, with the newest tree. Sequence numbers must rise.
	Reports(reports []model.AppReport)
	// Operation queues an update; a terminal one is never overtaken.
	Operation(u model.OperationUpdate)
	// Cluster queues the report on the cluster; it is repeated when a session
	// opens.
	Cluster(r model.ClusterReport)
}

// Settings is the agent's keeper of the fleet-wide settings. Its methods are
// called like a Handler's, and neither may wait for the network.
type Settings interface {
	// Held is the digest of the settings that are stored durably; empty when
	// there are none. It is what the hello says.
	Held() model.Digest
	// Take hands over settings, which replace those that are held.
	Take(s model.Settings)
	// Refused says that the hub sent settings which this agent cannot take; those
	// that are held stay.
	Refused(err error)
}

// Tunnels is told when the hub wants an access tunnel. OpenTunnel is called
// like a Handler's methods and must not wait; the tunnel is the caller's own
// connection and names the id.
type Tunnels interface {
	OpenTunnel(id string)
}
