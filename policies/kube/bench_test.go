package kube_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/policies/kube"
)

// dumpJSON is what kubectl get pods -A -o json prints, with as much beside what concerns packets.
func dumpJSON(n int) []byte {
	fat := strings.Repeat(`{"apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{".":{},"f:app":{}}}},"manager":"kubelet"},`, 20)
	env := strings.Repeat(`{"name":"SOME_SETTING","value":"a \"quoted\" value"},`, 30)
	var b bytes.Buffer
	b.WriteString("{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n")
	for i := range n {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"pod-%d","namespace":"ns","labels":{"app":"x"},"annotations":{"note":"- a\nb: c"},"managedFields":[%s{}]},
"spec":{"nodeName":"node-1","containers":[{"name":"c","image":"i","env":[%s{"name":"L","value":"x"}],"ports":[{"name":"http","containerPort":80,"protocol":"TCP"}]}]},
"status":{"phase":"Running","podIP":"10.244.%d.%d","podIPs":[{"ip":"10.244.%d.%d"}],"conditions":[%s{}]}}`, i, fat, env, i>>8, i&255, i>>8, i&255, fat)
	}
	b.WriteString("\n],\n    \"kind\": \"List\",\n    \"metadata\": {\"resourceVersion\": \"\"}\n}\n")
	return b.Bytes()
}

// smallPod is one that was written by hand.
const smallPod = `---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: default, labels: {app: x}}
spec:
  nodeName: node-1
  containers:
  - ports: [{containerPort: 80}]
status: {podIPs: [{ip: 10.244.0.1}]}
`

func dumpYAML(tb testing.TB, n int) []byte {
	tb.Helper()
	data, err := yaml.JSONToYAML(dumpJSON(n))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func yamlToJSON(text string) (string, error) {
	data, err := yaml.YAMLToJSON([]byte(text))
	return string(data), err
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"JSON/10000Pods", dumpJSON(10_000)},
		{"YAML/500Pods", dumpYAML(b, 500)},
		{"YAML/10000SmallPods", []byte(strings.Repeat(smallPod, 10_000))},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.data)))
			b.ReportAllocs()
			for b.Loop() {
				got, err := kube.Decode("f", c.data)
				if err != nil || len(got.Pods) < 500 {
					b.Fatal(len(got.Pods), err)
				}
			}
		})
	}
}
