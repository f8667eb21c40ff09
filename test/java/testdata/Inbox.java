import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.common.message.MessageExt;

/** The messages that a consumer has got so far. */
final class Inbox {
    /** The longest wait for anything. */
    private static final long PATIENCE_MILLIS = 45_000;
    private static final long POLL_MILLIS = 20;

    private final List<MessageExt> messages = new ArrayList<>();

    synchronized void add(List<MessageExt> arrived) {
        messages.addAll(arrived);
        notifyAll();
    }

    synchronized List<MessageExt> all() {
        return new ArrayList<>(messages);
    }

    /** Waits until there are so many messages; more of them than that are an error. */
    synchronized List<MessageExt> await(int count) throws InterruptedException {
        long end = System.currentTimeMillis() + PATIENCE_MILLIS;
        while (messages.size() < count) {
            long left = end - System.currentTimeMillis();
            Check.that(left > 0, "got %d messages of %d: %s", messages.size(), count, bodies());
            wait(left);
        }
        Check.same(messages.size(), count, "the number of messages " + bodies());
        return all();
    }

    /** The texts, sorted. */
    synchronized List<String> bodies() {
        return messages.stream().map(Inbox::text).sorted().collect(Collectors.toList());
    }

    static String text(MessageExt message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }

    /** Waits until the condition holds; what does not work yet is tried again. */
    static <T> T eventually(String what, Callable<T> get, Function<T, Boolean> condition) throws Exception {
        long end = System.currentTimeMillis() + PATIENCE_MILLIS;
        while (true) {
            T got = null;
            Exception failure = null;
            try {
                got = get.call();
            } catch (Exception e) {
                failure = e;
            }
            if (failure == null && condition.apply(got)) {
                return got;
            }
            if (System.currentTimeMillis() > end) {
                throw new Exception(what + " is still " + got, failure);
            }
            Thread.sleep(POLL_MILLIS);
        }
    }
}
