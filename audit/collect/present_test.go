package collect

import (
	"crypto/tls"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// A certificate that was given stands for its fault; others are added where they exist.
func TestAddFaulty(t *testing.T) {
	t.Parallel()
	given, minted := &tls.Certificate{}, &tls.Certificate{}
	got := AddFaulty([]Faulty{{Identity: audit.ServersOnly, Certificate: given}},
		Faulty{Identity: audit.ExpiredCertificate, Certificate: minted}, Faulty{Identity: audit.ServersOnly, Certificate: minted}, Faulty{Identity: audit.RevokedCertificate})
	if len(got) != 2 || got[0].Certificate != given || got[1].Identity != audit.ExpiredCertificate || got[1].Certificate != minted {
		t.Errorf("got %+v", got)
	}
}
