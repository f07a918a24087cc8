package audit_test

import (
	"os/exec"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

func TestRemediationOfTheOutcome(t *testing.T) {
	o := audit.Failed(audit.Finding{Code: "c", Text: "x"})
	if got := resultOf(t, "a:1", o); got.Remediation.String() != "the check's" || got.RemediationText != "the check's" {
		t.Errorf("got %q, %q", got.Remediation, got.RemediationText)
	}
	o.Remediation = audit.Remediation{audit.Say("more"), audit.Paste("exactly")}
	if got := resultOf(t, "a:1", o); got.RemediationText != "more\nexactly" || got.Remediation[0].Paste || !got.Remediation[1].Paste {
		t.Errorf("got %q, %+v", got.RemediationText, got.Remediation)
	}
}

// addresses are lines with every address of a place.
func addresses(p audit.Place) audit.Remediation {
	return audit.Remediation{audit.Paste("--a=https://%s --b=https://%s --c=%s", p.Client(), p.Peer(), p.Host())}
}

func textFor(t *testing.T, target audit.Target, remediation func(audit.Place) audit.Remediation) string {
	t.Helper()
	check := audit.Check{
		ID: "c", Remediation: remediation,
		Applies: func(audit.Target) bool { return true },
		Run:     func(audit.Target) audit.Outcome { return audit.Failed(audit.Finding{Code: "c", Text: "x"}) },
	}
	return audit.Run([]audit.Check{check}, []audit.Target{target}).Results[0].RemediationText
}

func TestRemediationHasTheAddress(t *testing.T) {
	for address, want := range map[string]string{
		"[::1]:12379":                "--a=https://[::1]:12379 --b=https://[::1]:2380 --c=[::1]",
		"[fe80::1%eth0]:2379":        "--a=https://[fe80::1%eth0]:2379 --b=https://[fe80::1%eth0]:2380 --c=[fe80::1%eth0]",
		"[fe80::1%$(reboot)]:2379":   "--a=https://ADDRESS:2379 --b=https://ADDRESS:2380 --c=ADDRESS",
		"$(reboot):2379":             "--a=https://ADDRESS:2379 --b=https://ADDRESS:2380 --c=ADDRESS",
		"etcd-0.example.internal:$x": "--a=https://etcd-0.example.internal:2379 --b=https://etcd-0.example.internal:2380 --c=etcd-0.example.internal",
	} {
		if got := textFor(t, &audit.Listener{Address: address, Kind: audit.Client}, addresses); got != want {
			t.Errorf("%s: got %q", address, got)
		}
	}
}

func TestRemediationHasTheAdvertisedAddress(t *testing.T) {
	const standIns = "--a=https://ADDRESS:2379 --b=https://ADDRESS:2380 --c=ADDRESS"
	for name, c := range map[string]struct{ client, peer, want string }{
		"both":             {"https://10.0.0.1:12379,https://10.0.0.2:2379", "https://10.0.0.1:12380", "--a=https://10.0.0.1:12379 --b=https://10.0.0.1:12380 --c=10.0.0.1"},
		"a name alone":     {"https://etcd-0.example.internal:2379", "", "--a=https://etcd-0.example.internal:2379 --b=https://etcd-0.example.internal:2380 --c=etcd-0.example.internal"},
		"IPv6":             {"https://[fd00::1]:2379", "https://[fd00::1]:2380", "--a=https://[fd00::1]:2379 --b=https://[fd00::1]:2380 --c=[fd00::1]"},
		"nobody's first":   {"https://0.0.0.0:2379,https://10.0.0.1:2379", "", "--a=https://10.0.0.1:2379 --b=https://10.0.0.1:2380 --c=10.0.0.1"},
		"none":             {"", "", standIns},
		"a socket":         {"unix://etcd:1", "", standIns},
		"nothing to paste": {"https://$(reboot):2379", "https://[fe80::1%25$(reboot)]:2380", standIns},
	} {
		settings := &audit.Settings{Values: map[string]audit.Setting{"advertise-client-urls": {Value: c.client}, "initial-advertise-peer-urls": {Value: c.peer}}}
		if got := textFor(t, &audit.HostSettings{Address: "cp-0:etcd.service", Settings: settings}, addresses); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// An empty place has a stand-in for each word, and a path is one word of a shell.
func TestPlace(t *testing.T) {
	words := func(p audit.Place) string {
		return audit.Paste("%s %s %s %s %s", p.Asked(), p.Metrics(), p.File(), p.Spec(), p.Store()).Text
	}
	if got, want := words(audit.Place{}), "ADDRESS:PORT ADDRESS:2381 FILE cluster.yaml DIR"; got != want {
		t.Errorf("got %q", got)
	}
	if got := audit.Paste("%s %s", audit.Place{}.Endpoints(), audit.Place{}.Config()).Text; got != "https://ADDRESS:2379 encryption-config.yaml" {
		t.Errorf("got %q", got)
	}
	stored := audit.StoredData{Endpoints: []string{"http://a:1", "https://b:2;id"}, ConfigPath: "e c.yaml"}
	if got := audit.Paste("%s %s", stored.Place().Endpoints(), stored.Place().Config()).Text; got != "'http://a:1,https://b:2;id' 'e c.yaml'" {
		t.Errorf("got %q", got)
	}
	p := audit.Place{AskedAddr: "a:1", HostAddr: "h", FilePath: "a b", SpecPath: "-", StoreDir: "-rf"}
	if got, want := words(p), "a:1 h:2381 'a b' - ./-rf"; got != want {
		t.Errorf("got %q", got)
	}
}

// Whatever text is pasted, a shell sees it as one word.
func TestPasteIsOneWord(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	for _, text := range []string{"plain", "", "a b", "$(reboot)", "it's", "a\nreboot", "\x1b[2J'\\", "`x`;y&z|é\u0085", "~", "*", "[a]", "{a,b}"} {
		line := audit.Paste("printf %%s %s", text)
		out, err := exec.Command(bash, "-c", line.Text).Output()
		if err != nil || string(out) != text || !line.Paste {
			t.Errorf("%q: %s printed %q, %v", text, line.Text, out, err)
		}
	}
}

func TestSayIsOneLine(t *testing.T) {
	if got := audit.Say("as it says: %s", "a\r\n--flag"); got.Text != "as it says: a  --flag" || got.Paste {
		t.Errorf("got %+v", got)
	}
}
