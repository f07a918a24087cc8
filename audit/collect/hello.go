package collect

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// maxHellos bounds one question. OpenSSL with everything on chooses about as many suites;
// which of them are more makes no difference to what has to be done.
const maxHellos = 40

// askHellos asks which suites and groups the server chooses, in TLS 1.2 and 1.3. A secure server
// takes three connections for each version, and in TLS 1.3 it answers them without a signature.
func (p *prober) askHellos(ctx context.Context, t *audit.Listener) []audit.Hello {
	if !t.Handshake(audit.NoCertificate).SpokeTLS {
		return nil
	}
	var old, current []audit.Hello
	runParallel([]func(){
		func() { old = p.askVersion(ctx, t, tls.VersionTLS12, audit.StrongSuites) },
		func() { current = p.askVersion(ctx, t, tls.VersionTLS13, audit.PostQuantumGroups, audit.StrongSuites) },
	})
	return slices.Concat(old, current)
}

// askVersion asks the questions of one version. The first ones show that the server answers such
// a ClientHello, so a refusal of the others is about what they offer.
func (p *prober) askVersion(ctx context.Context, t *audit.Listener, version uint16, first ...audit.Offer) []audit.Hello {
	if refusal := refusedVersion(t, version); refusal.State == audit.Refused {
		return []audit.Hello{{Attempt: refusal, Version: version, Offer: first[0], VersionRefused: true}}
	}
	var asked []audit.Hello
	for _, offer := range first {
		h := p.askHello(ctx, version, offer, 1)
		if h.VersionRefused && hasAgreedTo(t, version) {
			h.VersionRefused = false
			h.Attempt = audit.Attempt{State: audit.Unclear, Reason: h.Reason + ", after it agreed to " + tls.VersionName(version)}
		}
		asked = append(asked, h)
		if h.VersionRefused || (h.State != audit.Answered && h.State != audit.Refused) {
			return asked
		}
		if len(h.Chosen) > 0 {
			break
		}
	}
	// A server may know the weak suites only, so these are asked whatever it said before.
	var suites, groups audit.Hello
	runParallel([]func(){
		func() { suites = p.askHello(ctx, version, audit.WeakSuites, maxHellos) },
		func() { groups = p.askHello(ctx, version, audit.WeakGroups, maxHellos) },
	})
	return append(asked, suites, groups)
}

// refusedVersion returns the refusal of a version if an earlier handshake showed one.
func refusedVersion(t *audit.Listener, version uint16) audit.Attempt {
	if version == tls.VersionTLS12 {
		if h := t.HandshakeUpTo(version); h.Version == 0 && h.State == audit.Refused && h.Alert == audit.ProtocolVersion {
			return h.Attempt
		}
		return audit.Attempt{}
	}
	// It was offered both, and a server takes the highest that it knows (RFC 8446 section 4.2.1).
	if h := t.Handshake(audit.NoCertificate); h.Version != 0 && h.Version < version {
		return audit.Attempt{State: audit.Refused, Reason: "the server agrees to " + tls.VersionName(h.Version) + " where " + tls.VersionName(version) + " is offered too"}
	}
	return audit.Attempt{}
}

// hasAgreedTo reports whether a handshake agreed on the version.
func hasAgreedTo(t *audit.Listener, version uint16) bool {
	return slices.ContainsFunc(t.Handshakes, func(h audit.Handshake) bool { return h.Version == version })
}

// askHello makes an offer, removes what the server chose, and repeats this until the server
// chooses nothing, nothing is left, or the limit is reached.
func (p *prober) askHello(ctx context.Context, version uint16, offer audit.Offer, most int) audit.Hello {
	h := audit.Hello{Version: version, Offer: offer}
	offered := offerOf(version, offer)
	offered.serverName = p.host()
	for range most {
		choice, err := p.sendHello(ctx, offered)
		if err != nil {
			h.Attempt, h.VersionRefused = p.failedHello(err)
			return h
		}
		h.Attempt = audit.Attempt{State: audit.Answered}
		h.Chosen = append(h.Chosen, choice)
		if offered = offered.remaining(choice, offer); len(offered.suites) == 0 || (len(offered.groups) == 0 && version == tls.VersionTLS13) {
			return h
		}
	}
	return h
}

// remaining returns what is left to offer after a choice. If the choice is a prime of the
// server's own, all suites that use one are removed.
func (h clientHello) remaining(choice audit.Choice, offer audit.Offer) clientHello {
	if offer != audit.WeakGroups {
		h.suites = slices.DeleteFunc(slices.Clone(h.suites), func(id uint16) bool { return id == choice.Suite })
		return h
	}
	h.groups = slices.DeleteFunc(slices.Clone(h.groups), func(id uint16) bool { return id == choice.Group })
	h.suites = slices.DeleteFunc(slices.Clone(h.suites), func(id uint16) bool {
		s := audit.SuiteOf(id)
		return s.EphemeralDH() && choice.PrimeBits > 0 || s.EphemeralECDH() && len(h.groups) == 0
	})
	return h
}

// sendHello sends one ClientHello, reads the server's choice, and closes the connection.
func (p *prober) sendHello(ctx context.Context, offered clientHello) (audit.Choice, error) {
	record, err := offered.record()
	if err != nil {
		return audit.Choice{}, err
	}
	raw, err := p.dial(ctx)
	if err != nil {
		return audit.Choice{}, err
	}
	defer func() { _ = raw.Close() }()
	_, _ = raw.Write(record) // as in proveHTTP2, the answer is read in any case
	return readChoice(raw, offered, p.noteChain)
}

// failedHello returns the attempt that failed with an error, and whether the server refuses the
// version. Only an alert about the offer counts as a refusal.
func (p *prober) failedHello(err error) (audit.Attempt, bool) {
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		attempt := audit.Attempt{State: audit.Refused, Reason: alertText(alert), Alert: alert}
		switch alert {
		case alertProtocolVersion:
			return attempt, true
		case alertHandshakeFailure, alertIllegalParameter, alertInsufficientSecurity:
		default:
			attempt.State = audit.Unclear
		}
		return attempt, false
	}
	if version, ok := errors.AsType[versionError](err); ok {
		return audit.Attempt{State: audit.Refused, Reason: version.Error()}, true
	}
	if answer, ok := errors.AsType[answerError](err); ok {
		return audit.Attempt{State: audit.Unclear, Reason: answer.Error()}, false
	}
	return p.failedAttempt(err), false
}
