import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Every way to send a message that is not a transaction. Each checks what arrives. */
final class ProducerScenes {
    private final Target target;

    ProducerScenes(Target target) {
        this.target = target;
    }

    void addTo(Map<String, Check.Scene> scenes) {
        scenes.put("timer", this::timer);
        scenes.put("delay-level", this::delayLevel);
        scenes.put("send-sync", this::sync);
        scenes.put("send-async", this::async);
        scenes.put("send-one-way", this::oneWay);
        scenes.put("send-batch", this::batch);
        scenes.put("send-to-queue", this::toQueue);
        scenes.put("send-compressed", this::compressed);
        scenes.put("send-nowhere", this::nowhere);
    }

    private static void sent(SendResult result) {
        Check.same(result.getSendStatus(), SendStatus.SEND_OK, "status");
    }

    private String sync() throws Exception {
        String topic = target.topic("sync", "NORMAL");
        Message message = new Message(topic, "tag-a", "key-1 key-2", "sync".getBytes());
        message.putUserProperty("mine", "größe");
        message.setFlag(7);
        SendResult result = target.producer().send(message);
        sent(result);
        Check.same(result.getQueueOffset(), 0L, "offset");

        MessageExt got = target.consume(topic).await(1).get(0);
        Check.same(Inbox.text(got), "sync", "body");
        Check.same(got.getTags(), "tag-a", "tag");
        Check.same(got.getKeys(), "key-1 key-2", "keys");
        Check.same(got.getUserProperty("mine"), "größe", "property");
        Check.same(got.getFlag(), 7, "flag");
        Check.same(got.getMsgId(), result.getMsgId(), "unique id");
        Check.same(got.getQueueId(), result.getMessageQueue().getQueueId(), "queue");
        Check.same(got.getTopic(), topic, "topic");
        Check.same(got.getReconsumeTimes(), 0, "attempt");
        return result.getOffsetMsgId();
    }

    private String async() throws Exception {
        String topic = target.topic("async", "NORMAL");
        CompletableFuture<SendResult> outcome = new CompletableFuture<>();
        target.producer().send(Target.message(topic, "async"), new SendCallback() {
            @Override
            public void onSuccess(SendResult result) {
                outcome.complete(result);
            }

            @Override
            public void onException(Throwable e) {
                outcome.completeExceptionally(e);
            }
        });
        sent(outcome.get(10, TimeUnit.SECONDS));
        MessageExt got = target.consume(topic).await(1).get(0);
        Check.same(got.getMsgId(), outcome.get().getMsgId(), "unique id");
        return got.getMsgId();
    }

    private String oneWay() throws Exception {
        String topic = target.topic("one-way", "NORMAL");
        target.producer().sendOneway(Target.message(topic, "one-way"));
        return target.consume(topic).await(1).get(0).getMsgId();
    }

    private String batch() throws Exception {
        String topic = target.topic("batch", "NORMAL");
        List<Message> messages = new ArrayList<>();
        for (String body : List.of("a", "b", "c")) {
            Message message = Target.message(topic, body);
            message.setKeys("key-" + body);
            messages.add(message);
        }
        SendResult result = target.producer().send(messages);
        sent(result);
        Inbox inbox = target.consume(topic);
        for (MessageExt got : inbox.await(3)) {
            Check.same(got.getKeys(), "key-" + Inbox.text(got), "key");
            Check.same(got.getQueueId(), result.getMessageQueue().getQueueId(), "queue");
            String id = ((MessageClientExt) got).getOffsetMsgId();
            Check.that(result.getOffsetMsgId().contains(id), "id %s is not of %s", id, result.getOffsetMsgId());
        }
        Check.same(inbox.bodies(), List.of("a", "b", "c"), "bodies");
        Check.same(result.getMsgId().split(",").length, 3, "unique ids");
        Check.same(result.getOffsetMsgId().split(",").length, 3, "ids by offset");
        return result.getMsgId();
    }

    private String toQueue() throws Exception {
        String topic = target.topic("queue", "NORMAL");
        List<MessageQueue> queues = target.producer().fetchPublishMessageQueues(topic);
        Check.same(queues.size(), Target.QUEUES, "queues");
        MessageQueue chosen = queues.get(2);
        for (int i = 0; i < 3; i++) {
            SendResult result = target.producer().send(Target.message(topic, "to queue"), chosen);
            Check.same(result.getMessageQueue(), chosen, "queue");
            Check.same(result.getQueueOffset(), (long) i, "offset");
        }
        for (MessageExt got : target.consume(topic).await(3)) {
            Check.same(got.getQueueId(), chosen.getQueueId(), "queue");
        }
        return chosen.toString();
    }

    /** The client compresses what is longer than 4 KiB. */
    private String compressed() throws Exception {
        String topic = target.topic("long", "NORMAL");
        String body = "0123456789".repeat(10_000);
        sent(target.producer().send(Target.message(topic, body)));
        MessageExt got = target.consume(topic).await(1).get(0);
        Check.that(Inbox.text(got).equals(body), "the body has changed, it has %d bytes", got.getBody().length);
        Check.that(got.getStoreSize() < body.length() / 2, "%d bytes are stored", got.getStoreSize());
        return got.getStoreSize() + " bytes stored of " + body.length();
    }

    private String nowhere() throws Exception {
        try {
            target.producer().send(Target.message(target.name("nowhere"), "lost"));
        } catch (org.apache.rocketmq.client.exception.MQClientException e) {
            Check.that(e.getMessage().contains("No route info of this topic"), "wrong error: %s", e);
            return "no route";
        }
        throw new AssertionError("a topic that does not exist takes messages");
    }

    private String delayLevel() throws Exception {
        String topic = target.topic("level", "DELAY");
        Inbox inbox = target.consume(topic);
        Message message = Target.message(topic, "level");
        message.setDelayTimeLevel(1);
        sent(target.producer().send(message));
        MessageExt got = inbox.await(1).get(0);
        return late(got, 1000);
    }

    /** The three properties that set a timer. */
    private String timer() throws Exception {
        String topic = target.topic("timer", "DELAY");
        Inbox inbox = target.consume(topic);
        Message millis = Target.message(topic, "millis");
        millis.setDelayTimeMs(1500);
        Message seconds = Target.message(topic, "seconds");
        seconds.setDelayTimeSec(2);
        Message moment = Target.message(topic, "moment");
        moment.setDeliverTimeMs(System.currentTimeMillis() + 2500);
        for (Message message : List.of(moment, seconds, millis)) {
            sent(target.producer().send(message));
        }
        StringBuilder detail = new StringBuilder();
        for (MessageExt got : inbox.await(3)) {
            int least = Map.of("millis", 1500, "seconds", 2000, "moment", 2500).get(Inbox.text(got));
            detail.append(Inbox.text(got)).append(' ').append(late(got, least)).append("; ");
        }
        return detail.toString();
    }

    /** How long after its birth the message was delivered. The real broker's timers tick every second. */
    private static String late(MessageExt got, int least) {
        long after = got.getStoreTimestamp() - got.getBornTimestamp();
        Check.that(after > least - 1000, "%s was delivered after %d ms, want %d", Inbox.text(got), after, least);
        return after + " ms";
    }
}
