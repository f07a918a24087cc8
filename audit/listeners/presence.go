package listeners

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

const speaksGRPCOnly = "the port speaks gRPC only; audit the listener for HTTP (--listen-client-http-urls) beside it"

// judgePresence judges whether a page is there, for whoever is let in, by the statuses that etcd
// gives where it is: the first access that shows it is the finding, under the given code.
// It passes only if every access that works was seen to get none.
func judgePresence(t *audit.Listener, path, code string, present ...int) audit.Outcome {
	var absent, doubt, grpcOnly string
	for _, access := range append(audit.Anonymous(), audit.WithCredentials) {
		page := t.Page(access, path)
		if page.State == audit.Untried {
			continue
		}
		if t.GRPCOnly(access) {
			grpcOnly = speaksGRPCOnly
			continue
		}
		if page.State != audit.Answered {
			doubt = fmt.Sprintf("GET %s %s: %s", path, access, page.Reason)
			continue
		}
		answer := fmt.Sprintf("GET %s %s got HTTP status %d", path, access, page.Status)
		switch {
		case slices.Contains(present, page.Status) && page.Typical:
			return audit.Failed(audit.Finding{Code: code, Text: answer})
		case page.Status == http.StatusNotFound:
			absent = answer
		default:
			doubt = answer + ", which is not etcd's way"
		}
	}
	switch {
	case doubt != "":
		return audit.CouldNotTell(doubt)
	case absent != "":
		return audit.Passed(absent)
	case grpcOnly != "":
		return audit.Skipped(grpcOnly)
	default:
		return outcomeBehindCertificate(t)
	}
}

// outcomeBehindCertificate is the outcome where no page could be asked for.
func outcomeBehindCertificate(t *audit.Listener) audit.Outcome {
	anonymous, given := t.Agreed(audit.NoCertificate), t.Handshake(audit.GivenCertificate)
	switch {
	case !anonymous.SpokeTLS:
		return audit.CouldNotTell("no page could be asked for: " + anonymous.Reason)
	case given.TrustFault != "":
		return audit.CouldNotTell(given.TrustFault)
	case given.Reason != "":
		return audit.CouldNotTell("the given client certificate: " + given.Reason)
	default:
		return audit.CouldNotTell("what the port serves behind the client certificate: add --cacert, --cert and --key of a client of etcd")
	}
}
