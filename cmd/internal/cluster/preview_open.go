package cluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
)

func previewOpenCommand(p Program) *cobra.Command {
	var f Flags
	return f.previewCommand(p, &cobra.Command{
		Use:   "open PREVIEW",
		Short: "Print where a preview answers, and open it in a browser",
		Long: `Print the URL of a preview. On a terminal of a desktop it is opened in the browser as well; in a pipe it is only printed.
A preview by header has no URL: send the header x-headgate-preview to production's host.
` + previewArgument,
		Example: `  headgate preview open pr-42
  curl "$(headgate preview open pr-42)"`,
	}, func(ctx context.Context, c *connection, v *schema.Preview) error {
		if v.Status.URL == "" {
			why := "it answers nowhere yet"
			for _, cond := range v.Status.Conditions {
				if cond.Type == schema.PreviewReady {
					why = cond.Message
				}
			}
			return &NotFoundError{fmt.Sprintf("preview %s of Sync %s has no URL: %s", v.Spec.Name, v.Spec.Sync, why)}
		}
		fmt.Fprintln(p.Out, term.Safe(v.Status.URL, 512))
		if b := browser(p); b != "" && strings.HasPrefix(v.Status.URL, "http") {
			return exec.CommandContext(ctx, b, v.Status.URL).Start()
		}
		return nil
	})
}

// browser is the program that opens a URL; empty where there is none, or nobody looks.
func browser(p Program) string {
	if !p.style().Interactive {
		return ""
	}
	names := []string{p.Getenv("BROWSER")}
	switch {
	case runtime.GOOS == "darwin":
		names = append(names, "open")
	case p.Getenv("DISPLAY")+p.Getenv("WAYLAND_DISPLAY") != "":
		names = append(names, "xdg-open")
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	return ""
}

func previewLogsCommand(p Program) *cobra.Command {
	var f Flags
	follow, tail := false, int64(0)
	c := f.previewCommand(p, &cobra.Command{
		Use:   "logs PREVIEW",
		Short: "Print how a preview is doing, and the logs of its pods",
		Long: `Print the conditions and the latest events of a preview, then what its containers log, each line behind pod and
container. A preview that changes routing alone has no pods. With -f it goes on until it is interrupted.
` + previewArgument,
		Example: `  headgate preview logs pr-42
  headgate preview logs pr-42 -f --tail 20`,
	}, func(ctx context.Context, c *connection, v *schema.Preview) error {
		k, err := kubernetes.NewForConfig(c.rest)
		if err != nil {
			return fmt.Errorf("making a client for %s: %w", c.host, err)
		}
		l := previewLogs{connection: c, kube: k, out: p.Out, preview: v, follow: follow, tail: tail}
		if err := l.standing(ctx); err != nil {
			return err
		}
		return l.pods(ctx)
	})
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is logged from now on")
	c.Flags().Int64Var(&tail, "tail", 200, "how many of the last lines of each container")
	return c
}

// previewLogs prints what there is to say about a preview.
type previewLogs struct {
	*connection
	kube    kubernetes.Interface
	out     io.Writer
	preview *schema.Preview
	follow  bool
	tail    int64
	mu      sync.Mutex // guards out
}

// standing prints the conditions and events.
func (l *previewLogs) standing(ctx context.Context) error {
	var rows [][]string
	for _, c := range l.preview.Status.Conditions {
		rows = append(rows, []string{c.Type, string(c.Status), c.Reason, c.Message})
	}
	bounded, stop := short(ctx)
	defer stop()
	list, err := l.kube.CoreV1().Events(l.preview.Namespace).List(bounded, metav1.ListOptions{FieldSelector: "involvedObject.kind=Preview,involvedObject.name=" + l.preview.Name})
	if err != nil {
		return l.explain("listing the events of Preview "+l.preview.Name, err)
	}
	at := func(e corev1.Event) time.Time {
		return slices.MaxFunc([]time.Time{e.LastTimestamp.Time, e.EventTime.Time, e.CreationTimestamp.Time}, time.Time.Compare)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Event) int { return at(a).Compare(at(b)) })
	const latest = 10
	for _, e := range list.Items[max(0, len(list.Items)-latest):] {
		rows = append(rows, []string{at(e).UTC().Format(time.TimeOnly), e.Type, e.Reason, e.Message})
	}
	fmt.Fprint(l.out, term.Fit(0, rows))
	return nil
}

// pods prints what the pods log.
func (l *previewLogs) pods(ctx context.Context) error {
	namespace := agent.PreviewNamespace(l.preview.Namespace, l.preview.Spec.Sync, &l.preview.Spec)
	bounded, stop := short(ctx)
	defer stop()
	list, err := l.kube.CoreV1().Pods(namespace).List(bounded, metav1.ListOptions{})
	if err != nil {
		return l.explain("listing the pods of namespace "+namespace, err)
	}
	if len(list.Items) == 0 {
		fmt.Fprintf(l.out, "no pods in namespace %s: what the pull request changes needs none, or they are not there yet\n", namespace)
		return nil
	}
	var all sync.WaitGroup
	for i := range list.Items {
		for _, c := range list.Items[i].Spec.Containers {
			all.Go(func() { l.container(ctx, &list.Items[i], c.Name) })
		}
	}
	all.Wait()
	return nil
}

// container prints what one container logs. Lines are strangers' text.
func (l *previewLogs) container(ctx context.Context, pod *corev1.Pod, name string) {
	prefix := pod.Name + "/" + name + ": "
	in, err := l.kube.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: name, Follow: l.follow, TailLines: &l.tail}).Stream(ctx)
	if err != nil {
		l.line(prefix + "(" + err.Error() + ")")
		return
	}
	defer func() { _ = in.Close() }()
	const longest = 1 << 20
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longest)
	for lines.Scan() {
		l.line(prefix + lines.Text())
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil {
		l.line(prefix + "(" + err.Error() + ")")
	}
}

func (l *previewLogs) line(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.out, strings.TrimRight(term.Safe(text, 8192), " "))
}
