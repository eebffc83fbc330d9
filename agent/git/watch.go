package git

import (
	"context"
	"errors"
	"strings"
	"time"

	"headgate.dev/agent/git/internal/watch"
)

func watchRefs(ctx context.Context, dirs, trees []string) (<-chan struct{}, error) {
	return watchFiles(ctx, watch.Options{Dirs: dirs, Trees: trees, Skip: func(path string) bool { return strings.HasSuffix(path, ".lock") }})
}

func watchFiles(ctx context.Context, o watch.Options) (<-chan struct{}, error) {
	hints, err := watch.Start(ctx, o)
	var many *watch.TooManyError
	if errors.As(err, &many) {
		err = &TooBigError{What: "watching " + many.Dir, Limit: int64(many.Limit), Unit: "directories", Hint: "serve a smaller directory"}
	}
	return hints, err
}

// poll hints after each interval.
func poll(ctx context.Context, o Options) <-chan struct{} {
	return watch.Poll(ctx, func() <-chan time.Time { return o.After(o.Interval + time.Duration(o.Jitter()*float64(o.Interval)/10)) })
}
