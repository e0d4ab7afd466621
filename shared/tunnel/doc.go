// Package tunnel carries requests from the hub to an agent over a connection
// that the agent has opened. Both ends run this code.
//
// It has three layers:
//
//   - Conn is a net.Conn over a gRPC stream of frames: with deadlines, half
//     close and back-pressure.
//   - Session runs yamux on a Conn. The hub opens streams and the agent accepts
//     them; a peer that does otherwise, opens too many or floods the session
//     with pings is cut off.
//   - Stream carries messages in both directions and gives credit for them: a
//     sender has never more bytes under way than the receiver has granted. A
//     receiver that keeps up grants more, one that is slow takes it back. So a
//     slow reader holds 256 KiB and keeps nobody else waiting, and a session
//     holds at most Options.Unread, whatever its peer does.
//
// It knows nothing of what the messages mean (agent/access and hub/gateway do),
// does not dial and checks no certificate. Whoever makes a Session closes it;
// every goroutine ends soon after that.
package tunnel
