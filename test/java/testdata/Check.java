import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Plays scenes with Apache's client against a name server and prints one line for each: "ok NAME DETAIL" or
 * "FAIL NAME WHY". The exit code is 0 if all went well.
 *
 * <p>Arguments: the name server's address, and a suffix for the names of topics and groups.
 */
public final class Check {
    /** Most of a scene is waiting for a broker's timers, so many of them run at once. */
    private static final int AT_ONCE = 8;

    /** One use of the client. */
    interface Scene {
        /** Returns what is worth telling about a success. */
        String play() throws Exception;
    }

    public static void main(String[] args) {
        boolean good = false;
        try {
            good = playAll(args);
        } catch (Exception e) {
            System.out.println("FAIL all " + describe(e));
        }
        // The client's threads would keep the process alive.
        System.exit(good ? 0 : 1);
    }

    private static boolean playAll(String[] args) throws Exception {
        Target target = new Target(args[0], args[1]);
        Map<String, Scene> scenes = new LinkedHashMap<>();
        new TransactionScenes(target).addTo(scenes);
        new ConsumerScenes(target).addTo(scenes);
        new RetryScenes(target).addTo(scenes);
        new ProducerScenes(target).addTo(scenes);
        new AdminScenes(target).addTo(scenes);

        boolean good = playAll(scenes);
        target.shutdown();
        return good;
    }

    private static boolean playAll(Map<String, Scene> scenes) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(AT_ONCE);
        List<Future<Boolean>> results = new ArrayList<>();
        scenes.forEach((name, scene) -> results.add(pool.submit(() -> play(name, scene))));
        boolean good = true;
        for (Future<Boolean> result : results) {
            good &= result.get();
        }
        pool.shutdown();
        return good;
    }

    private static boolean play(String name, Scene scene) {
        String line;
        boolean good = true;
        try {
            line = "ok " + name + " " + scene.play();
        } catch (Exception | AssertionError e) {
            line = "FAIL " + name + " " + describe(e);
            good = false;
        }
        System.out.println(line);
        return good;
    }

    /** A line with the causes and the place in these scenes where it went wrong. */
    private static String describe(Throwable e) {
        StringBuilder text = new StringBuilder();
        for (Throwable t = e; t != null; t = t.getCause()) {
            text.append(t == e ? "" : ", by ").append(t.toString().replace('\n', ' '));
        }
        for (StackTraceElement at : e.getStackTrace()) {
            if (at.getFileName() != null && at.getFileName().endsWith("Scenes.java")) {
                return text.append(" at ").append(at.getFileName()).append(':').append(at.getLineNumber()).toString();
            }
        }
        return text.toString();
    }

    /** Throws unless the condition holds. */
    static void that(boolean holds, String otherwise, Object... arguments) {
        if (!holds) {
            throw new AssertionError(String.format(otherwise, arguments));
        }
    }

    /** Throws unless the two are equal. */
    static void same(Object got, Object want, String what) {
        that(want.equals(got), "%s is %s, want %s", what, got, want);
    }

    private Check() {
    }
}
